/**
 * HTTP/2 frames as bytes (RFC 9113), for clients that do what no library does: attack, or use almost no processor time.
 */
import { Buffer } from 'node:buffer';

/** Types of frames (RFC 9113, section 6). */
export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

/** Flags of frames; their meaning depends on the type. */
export const FLAG = { none: 0, ack: 1, endStream: 1, endHeaders: 4 } as const;

/** Names of settings (RFC 9113, section 6.5.2). */
export const SETTING = { initialWindowSize: 4, maxFrameSize: 5 } as const;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

const HEADER_BYTES = 9;

/** What a client sends first (RFC 9113, section 3.4). */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/** Makes a frame. */
export function makeFrame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  frame.writeUIntBE(payload.length, 0, 3);
  frame.writeUInt8(type, 3);
  frame.writeUInt8(flags, 4);
  frame.writeUInt32BE(stream, 5);
  payload.copy(frame, HEADER_BYTES);
  return frame;
}

function makeNumber(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Makes a frame that gives the peer more room to send, or none with 0. */
export const makeWindowUpdate = (stream: number, increment: number): Buffer =>
  makeFrame(FRAME.windowUpdate, FLAG.none, stream, makeNumber(increment));

/** Makes a frame that ends a stream with an error code. */
export const makeReset = (stream: number, code: number): Buffer =>
  makeFrame(FRAME.reset, FLAG.none, stream, makeNumber(code));

/** Makes a frame with settings. */
export function makeSettings(settings: readonly (readonly [name: number, value: number])[]): Buffer {
  const payload = Buffer.allocUnsafe(settings.length * 6);
  for (const [index, [name, value]] of settings.entries()) {
    payload.writeUInt16BE(name, index * 6);
    payload.writeUInt32BE(value, index * 6 + 2);
  }
  return makeFrame(FRAME.settings, FLAG.none, 0, payload);
}

/** Encodes a number in 7 bits and more (RFC 7541, section 5.1), without a flag. */
function encodeLength(length: number): Buffer {
  if (length < 127) return Buffer.from([length]);
  const bytes = [127];
  let rest = length - 127;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}

/** Encodes headers that the peer does not remember (RFC 7541, section 6.2.2), without Huffman codes. */
export function encodeHeaders(headers: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(
    headers.flatMap(([name, value]) => [
      Buffer.from([0]),
      encodeLength(Buffer.byteLength(name)),
      Buffer.from(name),
      encodeLength(Buffer.byteLength(value)),
      Buffer.from(value),
    ]),
  );
}

/** The headers of a review, as client-go sends them. */
export function makeReviewHeaders(contentLength: number): readonly (readonly [name: string, value: string])[] {
  return [
    [':authority', '127.0.0.1'],
    [':method', 'POST'],
    [':path', '/webhook?timeout=30s'],
    [':scheme', 'https'],
    ['accept', 'application/json, */*'],
    ['content-type', 'application/json'],
    ['user-agent', 'kube-apiserver/v1.36.0 (linux/amd64) kubernetes'],
    ['content-length', String(contentLength)],
    ['accept-encoding', 'gzip'],
  ];
}

/** Splits what a peer sends into frames. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  /** Returns the frames that are complete now. */
  read(chunk: Buffer): readonly Frame[] {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const frames: Frame[] = [];
    let at = 0;
    while (bytes.length - at >= HEADER_BYTES) {
      const end = at + HEADER_BYTES + bytes.readUIntBE(at, 3);
      if (end > bytes.length) break;
      frames.push({
        type: bytes.readUInt8(at + 3),
        flags: bytes.readUInt8(at + 4),
        stream: bytes.readUInt32BE(at + 5),
        payload: bytes.subarray(at + HEADER_BYTES, end),
      });
      at = end;
    }
    this.#rest = bytes.subarray(at);
    return frames;
  }
}
