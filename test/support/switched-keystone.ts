/** The real Keystone as one test sees it: its own requests are counted, and it can be out of reach. */
import type { KeystoneAddress } from '../../scripts/keystone/keystone.ts';
import { listRequests, watchRequests } from './request-log.ts';
import { startSwitchedForwarder } from './switched-forwarder.ts';
import type { SwitchedForwarder } from './switched-forwarder.ts';
import type { Owner } from './webhook-client.ts';

export interface SwitchedKeystone extends Pick<SwitchedForwarder, 'switch'> {
  /** Without `/v3`. */
  readonly url: string;
  /** How often somebody has logged in. */
  countLogins(): number;
}

/** Starts a way to a Keystone without TLS. It is closed after the test. */
export async function startSwitchedKeystone(t: Owner, keystone: KeystoneAddress): Promise<SwitchedKeystone> {
  const watched = watchRequests(keystone);
  const forwarder = await startSwitchedForwarder(t, Number(new URL(keystone.url).port));
  return {
    url: `http://127.0.0.1:${forwarder.port}${watched.prefix}`,
    switch: (isOn) => {
      forwarder.switch(isOn);
    },
    countLogins: () => listRequests(watched).filter(({ method, status }) => method === 'POST' && status === 201).length,
  };
}
