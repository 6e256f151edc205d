// The SDK as its user has it: from the packed tarball, in a folder that has nothing else.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { installSdk, installTypeScript, packSdk } from '../support/packed-sdk.js';
import { repositoryRoot } from '../support/repository.js';
import { run, runOrThrow } from '../support/run.js';
import { temporaryDirectory } from '../support/sandbox.js';

// Packing, installing and compiling are whole programs, on a machine that may have more to do.
const PATIENCE_MS = 240_000;

const PROGRAM = `
import { connect, ExhaustedError, type Reservation } from '@leasehold/sdk';
import { ListNetworksRequest } from '@leasehold/sdk/raw/ipam_service';
import { type FakeServer, startFakeServer } from '@leasehold/sdk/testing';

const fake: FakeServer = await startFakeServer();
const leasehold = connect({ server: fake.address });
try {
  await leasehold.networks.create({ networkId: 'red' });
  await leasehold.subnets.create({ networkId: 'red', subnetId: 'a', cidr: '10.0.0.0/30', gateway: '10.0.0.1' });
  await fake.addHost('h1', { networks: ['red'] });
  const reserve = (mac: string) => leasehold.reservations.reserve({ subnetId: 'a', mac, waitReady: {} });
  const { reservation, ready } = await reserve('52:54:00:00:00:01');
  const held: Reservation = reservation;
  const full = await reserve('52:54:00:00:00:02').catch((error: unknown) => error);
  const names = await new Promise<string[]>((resolve, reject) => {
    leasehold.raw.listNetworks(ListNetworksRequest.fromPartial({}), (error, answer) =>
      error ? reject(error) : resolve(answer.networks.map(({ networkId }) => networkId)),
    );
  });
  await leasehold.reservations.release({ reservationId: held.reservationId, guestStopped: true });
  await fake.clock.advance('5m');
  const next = await reserve('52:54:00:00:00:02');
  console.log([held.address, ready, full instanceof ExhaustedError, names, next.reservation.address].join(' '));
} finally {
  await leasehold.close();
  await fake.close();
}
`;

const REQUIRED = `
const { connect } = require('@leasehold/sdk');
const { startFakeServer } = require('@leasehold/sdk/testing');
const { version } = require('@leasehold/sdk/package.json');
(async () => {
  const fake = await startFakeServer();
  const leasehold = connect({ server: fake.address });
  await leasehold.networks.create({ networkId: 'red' });
  console.log(version, (await leasehold.networks.get('red')).networkId);
  await leasehold.close();
  await fake.close();
})();
`;

const TSCONFIG = {
  compilerOptions: {
    target: 'ES2022',
    module: 'NodeNext',
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    types: ['node'],
    outDir: 'out',
  },
};

const directory = temporaryDirectory('package-');
const folder = join(directory.path, 'folder');
let tarball = '';

beforeAll(async () => {
  tarball = await packSdk(directory.path);
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'user', private: true, type: 'module' }));
  const { notFetched } = await installSdk(tarball, folder);
  if (notFetched !== undefined)
    console.log(`Its dependencies are those of this checkout, because npm says: ${notFetched}`);
}, PATIENCE_MS);

afterAll(() => directory[Symbol.dispose]());

test('publint finds nothing, and types resolve wherever the package does', { timeout: PATIENCE_MS }, async () => {
  const bin = (name: string) => join(repositoryRoot, 'node_modules/.bin', name);
  const publint = await run(bin('publint'), ['run', '--strict', tarball]);
  expect(publint, publint.stdout + publint.stderr).toMatchObject({ code: 0 });
  const attw = await run(bin('attw'), [tarball, '--profile', 'esm-only']);
  expect(attw, attw.stdout + attw.stderr).toMatchObject({ code: 0 });
});

test('a strict program compiles, with our types checked, and runs', { timeout: PATIENCE_MS }, async () => {
  await compile('main.ts', PROGRAM);
  const told = await runOrThrow(process.execPath, ['out/main.js'], { cwd: folder });
  expect(told.trim()).toBe('10.0.0.2 true true red 10.0.0.2');
});

test('a program that requires it runs', { timeout: PATIENCE_MS }, async () => {
  writeFileSync(join(folder, 'main.cjs'), REQUIRED);
  const { version } = JSON.parse(readFileSync(join(repositoryRoot, 'sdk/package.json'), 'utf8')) as { version: string };
  expect((await runOrThrow(process.execPath, ['main.cjs'], { cwd: folder })).trim()).toBe(`${version} red`);
});

test('the command line is there', { timeout: PATIENCE_MS }, async () => {
  const told = await runOrThrow(join(folder, 'node_modules/.bin/leasehold'), ['--help'], { cwd: folder });
  expect(told).toContain('leasehold');
});

test('nothing is in it that its user has no use for', { timeout: PATIENCE_MS }, async () => {
  const names = (await runOrThrow('tar', ['-tzf', tarball])).split('\n');
  expect(names.filter((name) => /\.test\.|\.map$|tsbuildinfo|\/src\/|scripted/.test(name))).toEqual([]);
  const wanted = ['package/LICENSE', 'package/NOTICE', 'package/README.md', 'package/dist/bundle/descriptors.binpb'];
  expect(names).toEqual(expect.arrayContaining(wanted));
});

test('what its conditions name is in it, but for those of this repository alone', {
  timeout: PATIENCE_MS,
}, async () => {
  const names = (await runOrThrow('tar', ['-tzf', tarball])).split('\n');
  const text = await runOrThrow('tar', ['-xzOf', tarball, 'package/package.json']);
  const { exports } = JSON.parse(text) as { exports: Record<string, string | Record<string, string>> };
  const targets = Object.values(exports).flatMap((to) =>
    typeof to === 'string' ? [['default', to]] : Object.entries(to),
  );
  const named = targets.filter(([condition]) => !condition?.startsWith('@leasehold/'));
  expect(named.length).toBeGreaterThan(5);
  for (const [, target = ''] of named) {
    const [begin = '', end = ''] = target.replace('./', 'package/').split('*');
    expect(
      names.some((name) => name.startsWith(begin) && name.endsWith(end)),
      target,
    ).toBe(true);
  }
});

test('its reference is made from the comments, and nothing in it lacks one', { timeout: PATIENCE_MS }, async () => {
  const made = await run('npm', ['run', '--silent', '-w', 'docs/reference', 'build'], { cwd: repositoryRoot });
  expect(made, made.stdout + made.stderr).toMatchObject({ code: 0 });
});

test("the README's example of the fake server compiles and runs", { timeout: PATIENCE_MS }, async () => {
  const readme = readFileSync(join(repositoryRoot, 'sdk/README.md'), 'utf8');
  const [example] = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].flatMap(([, code = '']) =>
    code.includes('@leasehold/sdk/testing') ? [code] : [],
  );
  if (example === undefined) throw new Error('The README has no such example');
  // What it says of an answer, asserted.
  const asserted = example.replaceAll(
    /^(.*\.answer\(.*\)); \/\/ ('.*')$/gm,
    "if ($1 !== $2) throw new Error('Another answer');",
  );
  expect(asserted).not.toBe(example);
  await compile('readme.ts', asserted);
  await runOrThrow(process.execPath, ['out/readme.js'], { cwd: folder });
});

/** Compiles a program in the folder, strictly. */
async function compile(name: string, program: string): Promise<void> {
  installTypeScript(folder);
  writeFileSync(join(folder, name), program);
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ ...TSCONFIG, files: [name] }));
  const compiled = await run(process.execPath, ['node_modules/typescript/bin/tsc'], { cwd: folder });
  expect(compiled, compiled.stdout).toMatchObject({ code: 0 });
}
