// Delays what arrives over sockets. The bytes stay with the operating system meanwhile, so that their order and the end
// of a connection are what they would be: nothing differs from a network or a process that is slow.

import { Server, Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

import type { Delays } from './delays.ts';

/** What Node has below a socket. */
export interface Handle {
  /** Whether the socket wants to read. */
  reading?: boolean;
  readStart(): number;
  readStop(): number;
  hasRef?(): boolean;
  connect?(request: ConnectRequest, ...rest: readonly unknown[]): number;
}

interface ConnectRequest {
  oncomplete: (...args: readonly unknown[]) => void;
}

interface SocketParts {
  readonly _handle?: Handle | null;
}

/** How one connection is paused. */
interface Pauses {
  /** The handle of the connection, below TLS. */
  readonly raw: Handle;
  /** Whether the program wants to read. */
  isWanted: boolean;
  isPaused: boolean;
}

/** The pauses of a connection, by each of its handles. */
const known = new WeakMap<Handle, Pauses>();

const findHandle = (socket: Socket): Handle | undefined => (socket as unknown as SocketParts)._handle ?? undefined;

/** Notices when the program starts and stops reading. */
function watchReading(handle: Handle, pauses: Pauses): void {
  known.set(handle, pauses);
  handle.readStart = () => {
    pauses.isWanted = true;
    return pauses.isPaused ? 0 : call(handle, 'readStart');
  };
  handle.readStop = () => {
    pauses.isWanted = false;
    return call(handle, 'readStop');
  };
}

function track(raw: Handle): Pauses {
  const found = known.get(raw);
  if (found !== undefined) return found;
  const pauses = { raw, isWanted: raw.reading ?? false, isPaused: false };
  watchReading(raw, pauses);
  return pauses;
}

/** Calls a method of the handle's class, past what {@link watchReading} has replaced. */
function call(handle: Handle, name: 'readStart' | 'readStop'): number {
  const method: (this: Handle) => number = Reflect.get(Object.getPrototypeOf(handle) as Handle, name);
  return method.call(handle);
}

function pause(pauses: Pauses): void {
  pauses.isPaused = true;
  call(pauses.raw, 'readStop');
}

/** Ends a pause. `isOpen` says whether the handle still exists. */
function resume(pauses: Pauses, isOpen: boolean): void {
  pauses.isPaused = false;
  if (isOpen && pauses.isWanted) call(pauses.raw, 'readStart');
}

/** Pauses the connection of a socket again and again. */
export function pauseAtRandom(socket: Socket, delays: Delays): void {
  const handle = findHandle(socket);
  if (handle === undefined) return;
  const pauses = track(handle);
  const isOpen = (): boolean => !socket.destroyed && findHandle(socket) === handle;
  const pauseNext = (): void => {
    const ms = delays.next('read');
    if (ms === 0 || !isOpen()) return;
    pause(pauses);
    // Without a read, the connection does not keep the process alive.
    const timer = setTimeout(() => {
      resume(pauses, isOpen());
      setTimeout(pauseNext, delays.next('pause') / 4).unref();
    }, ms);
    if (handle.hasRef?.() === false) timer.unref();
  };
  pauseNext();
}

/** Reports to a server later that a client has connected, and in the same order. */
function delayConnections(delays: Delays): void {
  const emit = Reflect.get(Server.prototype, 'emit') as (this: Server, ...args: unknown[]) => boolean;
  const lastOf = new WeakMap<Server, Promise<void>>();
  Server.prototype.emit = function (this: Server, event: string | symbol, ...args: unknown[]): boolean {
    const [socket] = args;
    const handle = socket instanceof Socket ? findHandle(socket) : undefined;
    const isNew = event === 'connection' && handle !== undefined && !known.has(handle);
    if (!isNew || !(socket instanceof Socket) || socket instanceof TLSSocket) return emit.call(this, event, ...args);
    const pauses = track(handle);
    pause(pauses);
    const admit = (): void => {
      if (socket.destroyed) return;
      if (!this.listening) {
        // The system resets the connections that a server has not accepted when it stops listening.
        socket.resetAndDestroy();
        return;
      }
      resume(pauses, true);
      emit.call(this, event, ...args);
      pauseAtRandom(socket, delays);
    };
    const previous = lastOf.get(this);
    const delayed = new Promise<void>((resolve) => {
      delays.run('accept', resolve);
    });
    const admitted = Promise.all([previous, delayed]).then(admit);
    lastOf.set(this, admitted);
    return true;
  };
}

/** Reports to a client later that it has connected. */
function delayConnects(delays: Delays): void {
  const connect = Reflect.get(Socket.prototype, 'connect') as (this: Socket, ...args: unknown[]) => Socket;
  Socket.prototype.connect = function (this: Socket, ...args: unknown[]): Socket {
    connect.apply(this, args);
    const handle = findHandle(this);
    const start = handle?.connect?.bind(handle);
    if (handle === undefined || start === undefined) return this;
    handle.connect = (request, ...rest) => {
      const complete = request.oncomplete;
      request.oncomplete = (...results) => {
        delays.run('connect', () => {
          complete(...results);
          pauseAtRandom(this, delays);
        });
      };
      return start(request, ...rest);
    };
    return this;
  };
}

interface TlsInternals {
  _wrapHandle(wrap: unknown, handle: Handle | undefined, ...rest: unknown[]): Handle & { readonly _parent?: Handle };
}

/** Notices when a connection with TLS starts and stops reading. */
function watchTls(): void {
  const internals = TLSSocket.prototype as unknown as TlsInternals;
  const wrapHandle = Reflect.get(internals, '_wrapHandle');
  internals._wrapHandle = function (wrap, handle, ...rest) {
    const wrapped = wrapHandle.call(this, wrap, handle, ...rest);
    const { _parent: raw } = wrapped;
    if (raw !== undefined && 'readStop' in raw) watchReading(wrapped, track(raw));
    return wrapped;
  };
}

/** Delays connections and what they receive. */
export function delaySockets(delays: Delays): void {
  watchTls();
  delayConnections(delays);
  delayConnects(delays);
}
