// What each test process loads first.

import './measure-process.ts';
import './use-tap-bundle.ts';
import './strip-types-once.ts';
