import { makeProcessHost } from '../shared/base/host.ts';
import { runWebhookCli } from './cli/cli.ts';

// Node makes an error for each stream of HTTP/2, and most of its cost is the stack. The log shows no stack.
Error.stackTraceLimit = 0;

void runWebhookCli(makeProcessHost());
