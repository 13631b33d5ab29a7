/**
 * Node carries its own modules compiled, and V8 takes that only under the flags that it was compiled under. An executable
 * starts with one flag that differs, because a hit is faster with it; a run that goes on to load http and tls is faster
 * (by a tenth) with what is compiled. The flag has done its work by now, so it is set back.
 */
import { setFlagsFromString } from 'node:v8';

setFlagsFromString('--rehash-snapshot');
