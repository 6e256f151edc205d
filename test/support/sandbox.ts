// A sandbox for tests and the demo: network, mount and process namespaces of its own, with loopback up and a private
// /run, so that `ip netns` works there and nothing of it is seen outside.
//
//   B1. Everything inside ends with the sandbox: the process namespace dies with its first process, that one with
//       `unshare`, and `unshare` with us, even when we are killed with SIGKILL.
//   B2. One signal is enough: the sandbox is killed, the temporary directory removed, and only then we exit.
//   B3. /tmp stays the host's, so everything inside gets its own TMPDIR, and the outside removes that.
//   B4. /etc/resolv.conf is a copy: by default a DHCP client writes there what it was told, and root's would be the host's.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { exitCode, run, systemEnv } from './run.js';

/** Set inside; the helpers that make namespaces refuse to work without it. */
export const SANDBOX_VARIABLE = 'LEASEHOLD_SANDBOX';

const ISOLATE = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];

// Without the last line the shell would become the command: a first process that reaps no orphans fills the process
// table, and `"$@"` would not die of the signals that a first process ignores.
const SETUP = `set -e
ip link set lo up
mount -t tmpfs tmpfs /run
mkdir /run/netns
if [ -f /etc/resolv.conf ]; then
  cat /etc/resolv.conf >/run/resolv.conf
  mount --bind /run/resolv.conf /etc/resolv.conf
fi
set +e
"$@"
exit $?`;

/** How to enter a sandbox here, or in one line why that is impossible. */
export type Entrance =
  | { readonly ok: true; readonly prefix: readonly string[] }
  | { readonly ok: false; readonly why: string };

/** Finds out, by trying, how a sandbox can be entered: as root directly, as an ordinary user by a user namespace. */
export async function findEntrance(): Promise<Entrance> {
  const asUser = [...ISOLATE, '--user', '--map-root-user'];
  const ways = process.getuid?.() === 0 ? [ISOLATE, asUser] : [asUser];
  let why = '';
  for (const way of ways) {
    const prefix = ['unshare', ...way, 'sh', '-c', SETUP, 'sandbox'];
    const outcome = await run('setpriv', ['--pdeathsig', 'KILL', ...prefix, 'ip', 'netns', 'add', 'probe']);
    if (outcome.code === 0) return { ok: true, prefix };
    why = outcome.stderr.trim().replaceAll('\n', '; ');
  }
  return { ok: false, why };
}

/**
 * Runs a command inside a sandbox to its end; the exit code. On SIGINT, SIGTERM or SIGHUP everything inside is killed,
 * and the code is 128 + that signal. Standard output and error are ours, or `say` is told of each line; standard input is empty.
 */
export async function inSandbox(
  entrance: Entrance & { readonly ok: true },
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  say?: (line: string) => void,
): Promise<number> {
  const inside = ['--pdeathsig', 'KILL', ...entrance.prefix, command, ...args];
  return supervised('setpriv', inside, { ...env, [SANDBOX_VARIABLE]: '1' }, say);
}

// When we are killed, descriptor 3 ends and the process group is killed. A signal on the parent's death (as above) would
// reach only the command itself, and not what it started.
const WATCHED = `(read -r _ <&3; kill -KILL 0) &
"$@" 3<&-
code=$?
kill -KILL $!
exit $code`;

/**
 * Runs a command with our output, or telling `say` of each line of its own, and killing its whole process group when we are
 * told to end; the exit code. When we are killed ourselves, the group is, too.
 */
export function supervised(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  say?: (line: string) => void,
): Promise<number> {
  const output = say ? 'pipe' : 'inherit';
  // A group of its own: Ctrl-C reaches only us, and we end the group in one stroke instead of a race of handlers.
  const child = spawn('sh', ['-c', WATCHED, 'supervised', command, ...args], {
    stdio: ['ignore', output, output, 'pipe'],
    detached: true,
    env: { ...systemEnv(), ...env },
  });
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  let endedBy: (typeof signals)[number] | undefined;
  const end = (signal: (typeof signals)[number]) => {
    // Once: npm sends us another SIGINT beside the terminal's, and a group that is gone cannot be signalled.
    if (endedBy !== undefined || child.pid === undefined) return;
    endedBy = signal;
    process.kill(-child.pid, 'SIGKILL');
  };
  for (const signal of signals) process.on(signal, end);
  if (say) for (const stream of [child.stdout, child.stderr]) if (stream) createInterface(stream).on('line', say);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', () => child.stdio[3]?.destroy());
    // Not before its last line was read.
    child.on(say ? 'close' : 'exit', (code: number | null, signal: NodeJS.Signals | null) => {
      for (const name of signals) process.off(name, end);
      resolve(endedBy === undefined ? exitCode(code, signal) : 128 + constants.signals[endedBy]);
    });
  });
}

/** A temporary directory that is removed when the value is disposed of. */
export function temporaryDirectory(prefix: string): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), prefix));
  // Retried: of processes just killed, some may still be writing.
  return {
    path,
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 }),
  };
}
