import { makeProcessHost } from '../shared/base/host.ts';
import { runWebhookCli } from './cli/cli.ts';

void runWebhookCli(makeProcessHost());
