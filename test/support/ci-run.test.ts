// `.ci/run` with a played npm: what it makes of results, and that it leaves nothing running.

import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { WatchedProcess } from './processes.js';
import { repositoryRoot } from './repository.js';
import { temporaryDirectory } from './sandbox.js';

/** Starts `.ci/run` in a directory of its own, where `npm test` runs these lines of shell. */
function ciRun(directory: string, test: string): WatchedProcess {
  const write = (name: string, script: string) => {
    writeFileSync(join(directory, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(directory, name), 0o755);
  };
  mkdirSync(join(directory, '.ci'));
  copyFileSync(join(repositoryRoot, '.ci/run'), join(directory, '.ci/run'));
  write('npm', `case "$*" in *lint) exit "\${LINT:-0}" ;; *test) ${test} ;; esac`);
  write('apt-get', 'true');
  const env = { PATH: `${directory}:${process.env['PATH']}`, LINT: test.includes('lint fails') ? '1' : '0' };
  return new WatchedProcess(join(directory, '.ci/run'), [], { env });
}

test.each([
  ['3 passed, 0 failed', 0, '3 passed, 0 failed', 0],
  ['3 passed, 1 failed, 2 skipped', 1, '3 passed, 1 failed, 2 skipped', 1],
  ['3 passed, 0 failed', 1, '3 passed, 1 failed', 1],
  ['no total', 0, '0 passed, 1 failed', 1],
  ['lint fails\n3 passed, 1 failed', 1, '3 passed, 2 failed', 1],
])('tests that say %j and exit with %i are %j', async (said, exits, line, code) => {
  using temporary = temporaryDirectory('ci-');
  await using program = ciRun(temporary.path, `echo "${said}"; exit ${exits}`);
  expect(await program.exited).toBe(code);
  expect(program.lines.filter(({ stream }) => stream === 'stdout').at(-1)?.text).toBe(line);
});

test.each([
  ['SIGTERM', 143],
  ['SIGINT', 130],
  ['SIGHUP', 129],
] as const)('after one %s nothing that it started is left', async (signal, code) => {
  using temporary = temporaryDirectory('ci-');
  const path = join(temporary.path, 'socket');
  const connected = new Promise<Socket>((resolve) => {
    const server = createServer((socket) => {
      server.close();
      resolve(socket);
    }).listen(path);
  });
  const hold = join(temporary.path, 'hold.cjs');
  writeFileSync(hold, `require('node:net').connect(${JSON.stringify(path)}); setInterval(() => 0, 1000)`);
  await using program = ciRun(temporary.path, `"${process.execPath}" "${hold}"`);
  const held = await connected;
  const gone = new Promise((resolve) => held.on('close', resolve).resume());
  program.signal(signal);
  await gone;
  expect(await program.exited).toBe(code);
});
