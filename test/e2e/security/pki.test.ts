// `leasehold-server pki`, as an operator uses it: five commands, and what it refuses.

import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { startProgram, traceLines, type WatchedProcess } from '../../support/processes.js';
import { temporaryDirectory } from '../../support/sandbox.js';

const directory = temporaryDirectory('pki-');
const dir = join(directory.path, 'made', 'pki');

afterAll(() => directory[Symbol.dispose]());

async function pki(...args: string[]): Promise<{ readonly code: number; readonly text: string }> {
  await using run: WatchedProcess = startProgram('leasehold-server', ['pki', ...args]);
  const code = await run.exited;
  expect(traceLines(run.lines)).toEqual([]);
  return { code, text: run.lines.map(({ text }) => text).join('\n') };
}

const certificateOf = (name: string) => new X509Certificate(readFileSync(join(dir, `${name}.crt`)));
const modeOf = (name: string) => statSync(join(dir, name)).mode & 0o777;

test('makes a CA and certificates that say who is who, for a server that starts with them', async () => {
  expect((await pki('init', '--dir', dir, '--trust-domain', 'prod')).text).toContain(`--dir ${dir} server NAME`);
  const issued = await pki('issue', '--dir', dir, 'server', 's1', '--dns', 's1.example.org', '--ip', '10.0.0.1');
  expect(issued).toMatchObject({ code: 0, text: expect.stringContaining('leasehold-server --tls-cert') as string });
  for (const [role, name] of [
    ['engine', 'ovirt'],
    ['host', 'h1'],
  ] as const) {
    expect((await pki('issue', role, name, '--dir', dir)).code).toBe(0);
  }
  expect(readdirSync(dir).sort()).toEqual(
    ['ca', 'engine-ovirt', 'host-h1', 'server-s1'].flatMap((name) => [`${name}.crt`, `${name}.key`]),
  );
  expect([modeOf('.'), modeOf('ca.key'), modeOf('server-s1.key'), modeOf('server-s1.crt')]).toEqual([
    ...[0o700, 0o600, 0o600, 0o644],
  ]);
  const [ca, server, host] = [certificateOf('ca'), certificateOf('server-s1'), certificateOf('host-h1')];
  expect([server.checkIssued(ca), server.verify(ca.publicKey), host.verify(ca.publicKey)]).toEqual([true, true, true]);
  expect(server.subjectAltName).toBe(
    'URI:spiffe://prod/server/s1, DNS:s1, DNS:localhost, DNS:s1.example.org, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, IP Address:10.0.0.1',
  );
  expect(server.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  expect([host.subjectAltName, host.keyUsage]).toEqual(['URI:spiffe://prod/host/h1', ['1.3.6.1.5.5.7.3.2']]);
  const days = (Date.parse(host.validTo) - Date.now()) / 86_400_000;
  expect(days).toBeGreaterThan(89.9);
  expect(days).toBeLessThan(90.1);
  await using started = startProgram('leasehold-server', [
    ...[
      '--tls-cert',
      join(dir, 'server-s1.crt'),
      '--tls-key',
      join(dir, 'server-s1.key'),
      '--tls-ca',
      join(dir, 'ca.crt'),
    ],
    ...['--tls-trust-domain', 'prod', '--store', `embedded:${directory.path}/data`, '--metrics-listen', 'off'],
    ...['--listen', '127.0.0.1:0', '--agent-listen', '127.0.0.1:0'],
  ]);
  await started.waitForLine('is ready');
});

test('writes nothing over, and nothing beyond the CA', async () => {
  const before = readFileSync(join(dir, 'ca.key'), 'utf8');
  expect(await pki('init', '--dir', dir)).toMatchObject({
    code: 1,
    text: expect.stringContaining('is not written over') as string,
  });
  expect((await pki('issue', '--dir', dir, 'host', 'h1')).text).toContain('host-h1.crt is there already');
  const beyond = await pki('issue', '--dir', dir, 'host', 'h2', '--valid', '3650d');
  expect(beyond).toMatchObject({ code: 2, text: expect.stringContaining('--valid is beyond the CA') as string });
  expect(readFileSync(join(dir, 'ca.key'), 'utf8')).toBe(before);
});

test('says in one line what is wrong with what it is told', async () => {
  const told = [
    [[], /init or issue is missing/, 2],
    [['inti'], /unknown command inti, the nearest is init/, 2],
    [['init', '--dir', '/proc/leasehold'], /cannot be written/, 1],
    [['issue', '--dir', dir, 'guest', 'x'], /<role> "guest": expected .* the nearest is/, 2],
    [['issue', '--dir', dir, 'host', 'H1'], /<name> "H1": .* is not an id/, 2],
    [['issue', '--dir', dir, 'host'], /missing required argument 'name'/, 2],
    [['issue', '--dir', dir, 'host', 'h9', '--dns', 'a'], /--dns and --ip are for servers/, 2],
    [['issue', '--dir', '/nowhere', 'host', 'h9'], /there is no CA in --dir \/nowhere: .*pki init/, 1],
  ] as const;
  const refused = await Promise.all(told.map(([args]) => pki(...args)));
  const wanted = told.map(([, said, code]) => ({ code, text: expect.stringMatching(said) as string }));
  expect(refused).toEqual(wanted);
  expect(refused.filter(({ text }) => text.includes('\n'))).toEqual([]);
});

test('a CA that is none is refused', async () => {
  const other = join(directory.path, 'other');
  expect((await pki('init', '--dir', other)).code).toBe(0);
  writeFileSync(join(other, 'ca.crt'), readFileSync(join(dir, 'host-h1.crt')));
  expect((await pki('issue', '--dir', other, 'host', 'h1')).text).toContain('names no trust domain');
});

test('its help has examples that can be run', async () => {
  expect((await pki('--help')).text).toContain('leasehold-server pki issue --help');
  expect((await pki('issue', '--help')).text).toContain('leasehold-server pki issue --dir pki host h1');
});
