/** The paths for monitoring: /healthz, /readyz and /metrics. */
import type { MetricsPage } from '../observability/metric-registry.ts';
import { answerText } from './answer.ts';
import type { Answer } from './answer.ts';
import { findClientProblem } from './client-certificates.ts';
import type { ClientRules } from './client-certificates.ts';
import type { MetricsAccess } from './metrics-access.ts';
import { readPath } from './request.ts';
import type { RequestHead } from './request.ts';

export interface MonitoringSettings extends ClientRules {
  readonly metricsAccess: MetricsAccess;
  readonly metrics: MetricsPage;
  /** Why /readyz fails now; undefined if the server is ready. */
  readonly getUnreadyReason: () => string | undefined;
}

/** Answers a request for monitoring; undefined if it is for something else. */
export type AnswerMonitoring = (head: RequestHead) => Answer | Promise<Answer> | undefined;

/** Makes the function that answers the requests for monitoring. */
export function makeMonitoring(settings: MonitoringSettings): AnswerMonitoring {
  const { metricsAccess, metrics, getUnreadyReason } = settings;

  async function answerMetrics({ socket }: RequestHead): Promise<Answer> {
    const problem = metricsAccess === 'clients' ? findClientProblem(socket, settings) : undefined;
    return problem === undefined
      ? answerText(200, await metrics.render(), metrics.contentType)
      : answerText(401, `${problem}\n`);
  }

  function answerReadiness(): Answer {
    const reason = getUnreadyReason();
    return reason === undefined ? answerText(200, 'ok\n') : answerText(503, `${reason}\n`);
  }

  const answers = new Map<string, (head: RequestHead) => Promise<Answer> | Answer>([
    ['/healthz', () => answerText(200, 'ok\n')],
    ['/readyz', answerReadiness],
    ...(metricsAccess === 'off' ? [] : ([['/metrics', answerMetrics]] as const)),
  ]);
  return (head) => (head.method === 'GET' || head.method === 'HEAD' ? answers.get(readPath(head))?.(head) : undefined);
}
