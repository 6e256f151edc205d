// Processes of this host, told apart for sure: a pid alone is somebody else's after a while.

import { readFileSync } from 'node:fs';

/** A process by pid and start time, as text for a file; undefined when there is none. */
export function identityOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name, in parentheses, may hold anything; state is the third field, start time the 22nd.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : `${pid} ${fields[19]}`;
  } catch {
    return undefined;
  }
}

/** Kills the process of this identity if it is still there and has all of these words among its arguments. */
export function killIdentified(identity: string, words: readonly string[]): boolean {
  const pid = Number(identity.split(' ')[0]);
  if (!Number.isInteger(pid) || pid <= 1 || identityOf(pid) !== identity) return false;
  try {
    const args = readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0');
    if (!words.every((word) => args.includes(word))) return false;
    process.kill(pid, 'SIGKILL');
    return true;
  } catch {
    return false;
  }
}
