// What the tests of federated logins share: access to the servers of scripts/federation and control over them.

import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { test } from 'tap';
import type { Test } from 'tap';

import { isPortFree } from '../../scripts/lib/free-port.ts';
import type { FederationAddress } from '../../scripts/federation/federation.ts';
import type { DeviceDecision, IssuerSettings } from '../../scripts/federation/identity-provider.ts';
import { findResource } from './resources.ts';
import { sendRequest } from './send-request.ts';
import { listRequests } from './request-log.ts';
import type { LoggedRequest, WatchedAddress } from './request-log.ts';
import { findTestEnvironment } from './test-environment.ts';
import type { TestEnvironment } from './test-environment.ts';
import { waitUntil } from './wait-until.ts';

/**
 * Declares a test that needs the identity provider and Apache. The runner starts them for test files that import this
 * file.
 */
export function testWithFederation(
  name: string,
  body: (t: Test, federation: FederationAddress, environment: TestEnvironment) => Promise<void>,
): void {
  const [federation, environment] = [findResource('federation'), findTestEnvironment()];
  if ('missing' in federation || 'missing' in environment) {
    const reason = 'missing' in federation ? federation.missing : 'there is no Keystone';
    void test(name, { skip: reason.replaceAll(/\s+/g, ' ') }, () => undefined);
  } else {
    void test(name, (t) => body(t, federation, environment));
  }
}

/** The path of logins with an access token, below Keystone's address. */
export function federatedAuthPath({ provider, protocol }: Pick<FederationAddress, 'provider' | 'protocol'>): string {
  return `/v3/OS-FEDERATION/identity_providers/${provider}/protocols/${protocol}/auth`;
}

/** Reserves a port for which Keystone trusts http://localhost:PORT/auth/websso/. */
export async function reserveDashboardPort({ dashboardPorts, portsDir }: FederationAddress): Promise<number> {
  for (const port of dashboardPorts) {
    try {
      writeFileSync(join(portsDir, String(port)), '', { flag: 'wx' });
      if (await isPortFree(port)) return port;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
  }
  throw new Error('all dashboard ports are taken; scripts/federation/federation.ts says how many there are');
}

/**
 * Changes the settings of the issuer at `url`, with or without a path prefix. Omitted settings return to their
 * defaults.
 */
export async function configureIssuer(url: string, ca: string, settings: Partial<IssuerSettings>): Promise<void> {
  await ask(`${url}/control/settings`, { method: 'PUT', json: settings, ca });
}

/** Approves or denies a device code, as its user does on the verification page, or makes it expire. */
export async function decideDevice(url: string, ca: string, decision: DeviceDecision): Promise<void> {
  await ask(`${url}/control/device`, { json: decision, ca });
}

/** Returns the times when the issuer was polled for a device code, in ms since 1970. */
export async function listDevicePolls(url: string, ca: string, userCode: string): Promise<readonly number[]> {
  return (await ask(`${url}/control/polls/${userCode}`, { ca })) as number[];
}

/** An address of Apache, and which of its requests count. */
export interface ApacheLog {
  readonly address: WatchedAddress;
  /** Path of the CA of Apache. */
  readonly ca: string;
  /** Default: every path. */
  readonly only?: RegExp;
}

/**
 * Waits until Apache has logged `count` requests, and lists all that it has logged. Apache logs a request after its
 * response. So that no other request is missed, this sends one of its own and waits until it is logged too.
 */
export async function waitForRequests(
  { address, ca, only = /^(?!\/mark-)/ }: ApacheLog,
  count: number,
): Promise<readonly LoggedRequest[]> {
  const list = (): readonly LoggedRequest[] => listRequests(address).filter(({ path }) => only.test(path));
  await waitUntil(`${count} requests to Apache`, () => list().length >= count || undefined);
  const mark = `/mark-${randomBytes(6).toString('hex')}`;
  await sendRequest(address.url + mark, { ca });
  await waitUntil('the log of Apache', () => listRequests(address).some(({ path }) => path === mark) || undefined);
  return list();
}

async function ask(url: string, sent: Parameters<typeof sendRequest>[1]): Promise<unknown> {
  const { status, body } = await sendRequest(url, sent);
  if (status !== 200) throw new Error(`${url} gave ${status}: ${body}`);
  return JSON.parse(body) as unknown;
}
