/**
 * Tags by which a later run recognizes a credential that was refused. An attacker could test passwords against a plain
 * digest, so a tag is keyed with a value that is on no disk and disappears with a process: the addresses where the
 * kernel put the memory of that process. Without this key the tag reveals nothing.
 */
import type { Host } from '../../shared/base/host.ts';
import type { ProcessIdentity } from '../../shared/base/process-identity.ts';
import { digestFields } from './sha256.ts';
import type { DigestField } from './sha256.ts';

const PURPOSE = 'client-keystone-auth refusal 2';

/** Ends the walk to the first process, whatever /proc says. */
const MAX_ANCESTORS = 64;

const INIT_PID = 1;

/** The system and the processes that run the plugin. */
export interface CallerProcesses {
  readonly host: Pick<Host, 'identifyProcess'>;
  readonly parent: ProcessIdentity | undefined;
  /** Whether the parent is kubectl: then a second run belongs to the same command. */
  readonly isForKubectl: boolean;
}

/** A process whose memory layout this user can read. */
interface KeyProcess {
  readonly id: string;
  readonly memoryLayout: string;
}

function toKeyProcess(process: ProcessIdentity | undefined): KeyProcess | undefined {
  const memoryLayout = process?.memoryLayout;
  return process === undefined || memoryLayout === undefined ? undefined : { id: process.id, memoryLayout };
}

/** Lists the ancestors of this process, the oldest first. */
function listAncestors({ host, parent }: CallerProcesses): readonly ProcessIdentity[] {
  const ancestors: ProcessIdentity[] = [];
  let process = parent;
  while (process !== undefined && ancestors.length < MAX_ANCESTORS) {
    ancestors.unshift(process);
    process = process.parentPid > INIT_PID ? host.identifyProcess(process.parentPid) : undefined;
  }
  return ancestors;
}

/**
 * Chooses the process to key a tag with: the one that is likely to live longest, so that the memory lasts. That is the
 * first process of the container, or the oldest ancestor that belongs to the user.
 */
function chooseKeyProcess(callers: CallerProcesses): KeyProcess | undefined {
  for (const process of [callers.host.identifyProcess(INIT_PID), ...listAncestors(callers)]) {
    const keyProcess = toKeyProcess(process);
    if (keyProcess !== undefined) return keyProcess;
  }
  return undefined;
}

const computeTag = ({ id, memoryLayout }: KeyProcess, credential: readonly DigestField[]): string =>
  digestFields(PURPOSE, ['credential', id, memoryLayout, ...credential]);

/** A tag, and the process that it is keyed with. */
export interface CredentialTag {
  readonly tag: string;
  /** Pid and start time. */
  readonly process: string;
}

/** Tags a credential; undefined if the system shows no process to key the tag with. */
export function tagCredential(callers: CallerProcesses, credential: readonly DigestField[]): CredentialTag | undefined {
  const keyProcess = chooseKeyProcess(callers);
  return keyProcess === undefined ? undefined : { tag: computeTag(keyProcess, credential), process: keyProcess.id };
}

/**
 * Whether a tag is about this credential. The process that the tag is keyed with need not be an ancestor: terminals and
 * scripts of one user share what they remember, as long as that process lives.
 */
export function isTagOf(
  { host }: CallerProcesses,
  { tag, process }: CredentialTag,
  credential: readonly DigestField[],
): boolean {
  const keyProcess = toKeyProcess(host.identifyProcess(Number.parseInt(process, 10)));
  return keyProcess?.id === process && computeTag(keyProcess, credential) === tag;
}

/**
 * Makes a name that other users cannot know before they see it, and that later runs find again; undefined if no process
 * lives longer than this kubectl command, because nothing would remove what has the name.
 */
export function makeSecretName(callers: CallerProcesses): string | undefined {
  const keyProcess = chooseKeyProcess(callers);
  const isOfCommand = callers.isForKubectl && keyProcess?.id === callers.parent?.id;
  if (keyProcess === undefined || isOfCommand) return undefined;
  return digestFields(PURPOSE, ['name', keyProcess.id, keyProcess.memoryLayout]);
}

/** Tags the kubectl command that runs the plugin; undefined if kubectl does not run it. */
export function tagCommand({ parent, isForKubectl }: CallerProcesses): string | undefined {
  return isForKubectl && parent !== undefined ? digestFields(PURPOSE, ['command', parent.id]) : undefined;
}
