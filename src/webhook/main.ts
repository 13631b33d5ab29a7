import { processHost } from '../host.ts';
import { runWebhookCli } from './cli.ts';

void runWebhookCli(processHost());
