import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { temporaryDirectory } from './sandbox.js';
import { hasTool, missingTools } from './tools.js';

afterEach(() => {
  vi.unstubAllEnvs();
});

test('a program that does not work here is missing, with what is not run and why', async () => {
  using temporary = temporaryDirectory('tools-');
  const play = (name: string, script: string) => {
    writeFileSync(join(temporary.path, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(temporary.path, name), 0o755);
  };
  play('strace', 'echo "strace: ptrace: Operation not permitted" >&2; exit 1');
  for (const name of ['dhclient', 'dhcpcd', 'dnsmasq', 'nft', 'tmux', 'zsh', 'fish']) play(name, 'exit 0');
  vi.stubEnv('PATH', `${temporary.path}:${process.env['PATH']}`);
  expect(await hasTool('dhclient')).toBe(true);
  expect(await hasTool('strace')).toBe(false);
  expect(await missingTools()).toEqual([
    'Not run: the tests of the embedded store on slow and failing disks, because strace does not work (strace: ptrace: Operation not permitted) here: apt-get install strace',
  ]);
});
