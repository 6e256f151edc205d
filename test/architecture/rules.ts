// The architecture, as tables: who may import whom, who may touch the world, and what nobody writes.

import { posix } from 'node:path';
import type { Import, SourceFacts } from './source-facts.js';

const PROGRAM = ['@leasehold/program/clock', '@leasehold/program/entropy', '@leasehold/program/log'];
const VALUES = ['values', 'identity', 'digest', 'dhcp-options'].map((name) => `@leasehold/proto/${name}`);
const WIRE = ['@leasehold/proto/*', '@bufbuild/protobuf*'];

/** Hashes, and what is read of a key or a certificate, are functions of their input; everything else in the module is chance. */
const NO_CHANCE = [
  'hash',
  'createHash',
  'createHmac',
  'timingSafeEqual',
  'X509Certificate',
  'createPrivateKey',
  'constants',
];

/**
 * What each layer may import: layers of its own workspace by directory, libraries by name, `*` at the end for a prefix.
 * `type X`: only types of X, which is how an adapter names the port it implements. The longest directory that fits a
 * file holds.
 */
export const LAYERS: Readonly<Record<string, readonly string[]>> = {
  // Chance handed in is an argument; a clock is not: the domain takes a `now`.
  'server/src/domain': ['server/src/domain', ...VALUES, 'type @leasehold/program/entropy', 'node:crypto'],
  'server/src/ports': ['server/src/ports', 'server/src/domain', ...VALUES, ...PROGRAM],
  'server/src/app': ['server/src/app', 'server/src/ports', 'server/src/domain', ...VALUES, ...PROGRAM, 'node:crypto'],
  // The format of exports and what is done with it, without a file and without a store.
  'server/src/transfer': [
    ...['server/src/transfer', 'server/src/ports', 'server/src/domain', ...VALUES, ...PROGRAM, 'node:crypto'],
  ],
  'server/src/adapters': [
    ...['server/src/adapters', 'server/src/ports', 'server/src/domain', ...PROGRAM, ...WIRE, 'node:*'],
    ...['lmdb', 'mongodb', 'opossum', 'prom-client', '@grpc/grpc-js', '@leasehold/program/make-directory'],
  ],
  'server/src/adapters/pki': [
    ...['server/src/adapters/pki', '@leasehold/proto/identity', '@leasehold/program/make-directory'],
    ...['@peculiar/x509', 'reflect-metadata', 'node:*'],
  ],
  // The provider runs in virtual time too: no libraries, nothing of the system.
  'server/src/adapters/agents': [
    ...['server/src/adapters/agents', 'server/src/ports', 'server/src/domain', ...PROGRAM, ...WIRE],
  ],
  'server/src/transport': [
    ...['server/src/transport', 'server/src/app', 'server/src/ports', 'server/src/domain', ...PROGRAM, ...WIRE],
    ...['@grpc/grpc-js', 'prom-client', 'node:*', '@leasehold/program/*'],
  ],
  // Beside main.ts: option tables and the like, but no wiring.
  'server/src': [
    'server/src',
    'server/src/app',
    'server/src/ports',
    'server/src/domain',
    '@leasehold/program/*',
    'node:*',
  ],
  // Puts the core together for main.ts and for simulations, so it knows neither the wire nor a real store.
  'server/src/control-plane.ts': [
    ...['server/src/adapters/agents', 'server/src/app', 'server/src/ports', 'server/src/domain', ...PROGRAM],
    // Log lines of changes are spelled as in exports.
    ...['server/src/transfer', 'type server/src/transport'],
  ],
  // Chooses among the real ones.
  'server/src/open-store.ts': ['server/src', 'server/src/adapters', 'server/src/ports', ...PROGRAM],
  'server/src/testing': [
    ...['server/src/testing', 'server/src/ports', 'server/src/domain', ...VALUES, 'fast-check'],
    ...['server/src/adapters', 'server/src/adapters/pki', '@grpc/grpc-js', 'node:fs'],
  ],
  'server/src/open-transfer.ts': ['server/src', 'server/src/adapters', 'server/src/ports', ...PROGRAM],
  'server/src/commands': [
    ...['server/src/commands', 'server/src', 'server/src/open-transfer.ts', 'server/src/transfer', 'server/src/ports'],
    ...['type server/src/domain', 'server/src/adapters', 'server/src/adapters/pki', ...VALUES],
    ...['@leasehold/program/*', 'node:*'],
  ],
  'server/src/serve.ts': ['*'],
  'server/src/main.ts': ['*'],

  'agent/src/domain': ['agent/src/domain', ...VALUES, '@leasehold/proto/ipam/*'],
  'agent/src/backends': ['agent/src/backends', 'agent/src/domain', 'agent/src/system', ...VALUES, ...PROGRAM, 'node:*'],
  'agent/src/session': [
    ...['agent/src/session', 'agent/src/domain', 'type agent/src/backends', 'type agent/src/state'],
    ...[...PROGRAM, ...WIRE, '@grpc/grpc-js', 'node:*', '@leasehold/program/*'],
  ],
  'agent/src/sentinel': ['agent/src/sentinel', 'agent/src/domain', 'type agent/src/backends', ...PROGRAM, ...WIRE],
  'agent/src/state': ['agent/src/state', 'agent/src/domain', 'type agent/src/session', ...WIRE, ...PROGRAM, 'node:*'],
  'agent/src/system': [
    ...[
      'agent/src/system',
      'agent/src/domain',
      'type agent/src/backends',
      'type agent/src/sentinel',
      'type agent/src/state',
      'type agent/src/session',
    ],
    ...['type agent/src', ...VALUES, '@leasehold/program/*', 'koffi', 'node:*'],
  ],
  'agent/src': [
    ...[
      'agent/src',
      'agent/src/session',
      'agent/src/state',
      'agent/src/backends',
      'agent/src/sentinel',
      'agent/src/domain',
    ],
    ...[...PROGRAM, ...WIRE, '@leasehold/program/*', 'node:*'],
  ],
  'agent/src/main.ts': ['*'],
  'agent/src/keeper/main.ts': ['*'],

  'proto/src': ['proto/src', 'proto/gen', 'node:*'],
  'program/src': ['program/src', 'commander', 'pino', 'node:*'],
  // The product, played: of its adapters only what needs no machine.
  'fake/src': [
    ...[
      'fake/src',
      'test/fakes',
      '@leasehold/server/*',
      '@leasehold/agent/*',
      '@leasehold/program/*',
      ...WIRE,
      ...VALUES,
    ],
    ...['type @leasehold/sdk/testing', 'node:fs'],
  ],
  'fake/src/main.ts': ['*'],
  // Named, so that imports of them have a layer.
  'test/fakes': ['*'],
  sdk: ['sdk', '@grpc/grpc-js', '@bufbuild/protobuf*', 'node:*'],
};

/** Where the clock is read, timers are set and random numbers drawn. */
export const SYSTEM_FILES: readonly RegExp[] = [
  /^server\/src\/adapters\/system(\/|\.ts$)/,
  /^program\/src\/system-[a-z-]+\.ts$/,
  /^agent\/src\/system\//,
  /^sdk\/src\/system\.ts$/,
  // Fakes for tests, which stand in for the system.
  /^sdk\/src\/test-support\//,
];

/** Stores that scan millions of entries let others have a turn; which turn decides nothing, so that is not time. */
const YIELDING_FILES = /^server\/src\/adapters\/(embedded|mongodb)\//;

const TIME_AND_CHANCE =
  /^(Date\.now|new Date\(\)|performance\.\w+|Math\.random|crypto\.\w+|AbortSignal\.timeout|set(Timeout|Interval|Immediate)|process\.(hrtime|uptime)|globalThis\..*)$/;
const ENVIRONMENT = /^process\.(env|argv|on|once|addListener)$/;

/** Every rule a file breaks, in words; none for a file that keeps to them. Pure. */
export function violations(file: SourceFacts): readonly string[] {
  const shunned = file.shunned.map((word) => `${file.path} uses ${word}`);
  // Tests may import what they test with, and tests of the system files drive its timers.
  if (file.path.endsWith('.test.ts')) return shunned;
  return [...shunned, ...importViolations(file), ...ambientViolations(file)];
}

function importViolations(file: SourceFacts): readonly string[] {
  const allowed = LAYERS[layerOf(file.path) ?? ''] ?? ['*'];
  const targets = file.imports.map((each) => ({ each, target: targetOf(file.path, each.from) }));
  return targets
    .filter(
      ({ each, target }) => !allowed.some((rule) => admits(rule, target, each)) || !noChanceBehind(file.path, each),
    )
    .map(
      ({ each }) => `${file.path} imports ${each.from}${each.names.length > 0 ? ` (${each.names.join(', ')})` : ''}`,
    );
}

function ambientViolations(file: SourceFacts): readonly string[] {
  const system = SYSTEM_FILES.some((pattern) => pattern.test(file.path));
  // In program, `process` is handed in by main.ts under the same name; a library such as the SDK has no main.ts.
  const mayReadProcess = /(\/main\.ts|^program\/.*|^sdk\/src\/system\.ts)$/.test(file.path);
  return file.ambient
    .filter((what) => what !== 'setImmediate' || !YIELDING_FILES.test(file.path))
    .filter((what) => (TIME_AND_CHANCE.test(what) && !system) || (ENVIRONMENT.test(what) && !mayReadProcess))
    .map((what) => `${file.path} touches ${what}`);
}

/** The longest key of LAYERS that is the file or a directory above it. */
function layerOf(path: string): string | undefined {
  const fitting = Object.keys(LAYERS).filter((key) => path === key || path.startsWith(`${key}/`));
  return fitting.toSorted((a, b) => b.length - a.length)[0];
}

/** What is imported: the layer for a relative import, the specifier for a library. */
function targetOf(path: string, from: string): string {
  if (!from.startsWith('.')) return from;
  const target = posix.join(posix.dirname(path), from.replace(/\.js$/, '.ts'));
  const layer = layerOf(target);
  if (layer === undefined) return target.startsWith('proto/gen/') ? 'proto/gen' : target;
  return layer;
}

function admits(rule: string, target: string, imported: Import): boolean {
  const [name, typeOnly] = rule.startsWith('type ') ? [rule.slice('type '.length), true] : [rule, false];
  if (typeOnly && !imported.typeOnly) return false;
  return name.endsWith('*') ? target.startsWith(name.slice(0, -1)) : target === name;
}

/** Timers, chance and the process also come as modules: of those, only what is a function of its input. */
function noChanceBehind(path: string, imported: Import): boolean {
  if (imported.typeOnly || SYSTEM_FILES.some((pattern) => pattern.test(path))) return true;
  if (YIELDING_FILES.test(path) && imported.names.every((name) => name === 'setImmediate')) return true;
  if (imported.from === 'node:process') return path.endsWith('/main.ts');
  if (imported.from.startsWith('node:timers') || imported.from === 'node:perf_hooks') return false;
  return imported.from !== 'node:crypto' || imported.names.every((name) => NO_CHANCE.includes(name));
}
