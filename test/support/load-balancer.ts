/**
 * A stand-in for a load balancer, or for a Service of Kubernetes: it passes TCP connections on to all replicas, and
 * opens no further ones to a replica whose /readyz fails.
 */
import { Agent, request } from 'node:https';
import { makeForwarder } from './forwarder.ts';
import type { Owner } from './webhook-client.ts';
import { listenOnLoopback } from '../../scripts/lib/listen-on-loopback.ts';

export interface LoadBalancer {
  readonly port: number;
  /** Whether the last check of the replica on this port has succeeded. */
  readonly isReady: (port: number) => boolean;
}

const CHECK_MS = 100;

function checkReadiness(port: number, agent: Agent): Promise<boolean> {
  return new Promise((resolve) => {
    request({ host: '127.0.0.1', port, path: '/readyz', agent }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    })
      .once('error', () => {
        resolve(false);
      })
      .end();
  });
}

/**
 * Counts the binary ones of a number. Replicas that are chosen by it have as many connections as in turn, but not in a fixed
 * rhythm: a command that opens two connections would send all of its credentials to the same replica.
 */
const countOnes = (number: number): number => number.toString(2).replaceAll('0', '').length;

/** Starts a load balancer on 127.0.0.1 for the replicas on these ports. It is stopped after the test. */
export async function startLoadBalancer(t: Owner, ports: readonly number[]): Promise<LoadBalancer> {
  const readyPorts = new Set<number>();
  // A new connection for each check would take more processor time than the tests.
  const agent = new Agent({ keepAlive: true, rejectUnauthorized: false });
  let isStopped = false;
  let turn = 0;

  async function check(port: number): Promise<void> {
    if (await checkReadiness(port, agent)) readyPorts.add(port);
    else readyPorts.delete(port);
    if (!isStopped) setTimeout(() => void check(port), CHECK_MS);
  }

  const chooseReplica = (): number | undefined => {
    const candidates = [...readyPorts];
    const port = candidates[countOnes(turn) % candidates.length];
    turn += 1;
    return port;
  };
  const { server, sockets } = makeForwarder(chooseReplica, (client) => client.destroy());
  const ownPort = await listenOnLoopback(server);
  t.teardown(() => {
    isStopped = true;
    agent.destroy();
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  await Promise.all(ports.map(check));
  return { port: ownPort, isReady: (port) => readyPorts.has(port) };
}
