import { redactAndTruncate } from '../base/text.ts';
import type { HttpRequest, HttpResponse } from './http-message.ts';

/** Response headers that contain neither secrets nor personal data. */
const HARMLESS_HEADERS = [
  'content-type',
  'content-length',
  'date',
  'server',
  'via',
  'retry-after',
  'vary',
  'connection',
  'x-openstack-request-id',
];

/** Describes a request and its response for `--verbose`, one line for each level. */
export function describeResponse(
  { verb }: HttpRequest,
  { origin, pathname }: URL,
  response: HttpResponse & { readonly tookMs: number },
): readonly (readonly [line: string, level: 2 | 3])[] {
  const { status, tookMs } = response;
  const id = response.header('x-openstack-request-id');
  const summary = `${verb} ${origin}${pathname} answered ${String(status)} in ${String(Math.round(tookMs))} ms`;
  const headers = HARMLESS_HEADERS.flatMap((name) => {
    const value = response.header(name);
    return value === undefined ? [] : [`${name}: ${value}`];
  });
  return [
    [redactAndTruncate(`${summary}${id === undefined ? '' : ` (${id})`}`), 2],
    [redactAndTruncate(`its headers, as far as they are harmless: ${headers.join(', ')}`), 3],
  ];
}
