// Imports are the architecture (design.md §3), and this holds them.

import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { describe, expect, test } from 'vitest';
import { repositoryRoot } from '../support/repository.js';
import { LAYERS, violations } from './rules.js';
import { readFacts, type SourceFacts } from './source-facts.js';

const WORKSPACES = ['proto', 'program', 'server', 'agent', 'sdk', 'fake'];

function sources(workspace: string): readonly SourceFacts[] {
  const directory = join(repositoryRoot, workspace, 'src');
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  const files = names.filter((name) => name.endsWith('.ts') && !name.split(sep).includes('gen'));
  return files.map((name) => {
    const file = join(directory, name);
    return readFacts(relative(repositoryRoot, file).split(sep).join('/'), readFileSync(file, 'utf8'));
  });
}

test.each(WORKSPACES)('%s keeps to its layers', (workspace) => {
  const files = sources(workspace);
  expect(files.length).toBeGreaterThan(0);
  expect(files.flatMap(violations)).toEqual([]);
});

test('every workspace that ships has layers', () => {
  expect(WORKSPACES.filter((name) => !Object.keys(LAYERS).some((key) => key.split('/')[0] === name))).toEqual([]);
});

describe('a planted violation is caught', () => {
  const planted: readonly (readonly [path: string, source: string, found: string])[] = [
    ['server/src/domain/a.ts', `import { x } from '../app/x.js';`, 'imports ../app/x.js (x)'],
    ['server/src/domain/a.ts', `import type { x } from '../ports/x.js';`, 'imports ../ports/x.js (x)'],
    ['server/src/domain/a.ts', `import { readFile } from 'node:fs';`, 'imports node:fs (readFile)'],
    ['server/src/domain/a.ts', `import { randomUUID } from 'node:crypto';`, 'imports node:crypto (randomUUID)'],
    ['server/src/ports/a.ts', `import { x } from '../app/x.js';`, 'imports ../app/x.js (x)'],
    ['server/src/app/a.ts', `import { x } from '../adapters/embedded/x.js';`, 'imports ../adapters/embedded/x.js (x)'],
    ['server/src/app/a.ts', `import { x } from '../transport/x.js';`, 'imports ../transport/x.js (x)'],
    ['server/src/app/a.ts', `import { status } from '@grpc/grpc-js';`, 'imports @grpc/grpc-js (status)'],
    ['server/src/app/a.ts', `const x = await import('../adapters/x.js');`, 'imports ../adapters/x.js (*)'],
    ['server/src/app/a.ts', `export { x } from '../adapters/x.js';`, 'imports ../adapters/x.js (x)'],
    ['server/src/app/a.ts', `let x: import('../adapters/x.js').X;`, 'imports ../adapters/x.js (*)'],
    ['server/src/adapters/mongodb/a.ts', `import { x } from '../../app/x.js';`, 'imports ../../app/x.js (x)'],
    ['server/src/adapters/a.ts', `import { x } from '../transport/x.js';`, 'imports ../transport/x.js (x)'],
    ['server/src/transport/a.ts', `import { x } from '../adapters/x.js';`, 'imports ../adapters/x.js (x)'],
    [
      'server/src/control-plane.ts',
      `import { x } from './adapters/embedded/x.js';`,
      'imports ./adapters/embedded/x.js (x)',
    ],
    ['server/src/control-plane.ts', `import { x } from './transport/x.js';`, 'imports ./transport/x.js (x)'],
    ['server/src/wiring.ts', `import { x } from './adapters/x.js';`, 'imports ./adapters/x.js (x)'],
    [
      'server/src/app/a.ts',
      `import { setTimeout } from 'node:timers/promises';`,
      'imports node:timers/promises (setTimeout)',
    ],
    ['server/src/transport/a.ts', `import { randomBytes } from 'node:crypto';`, 'imports node:crypto (randomBytes)'],
    ['server/src/transport/a.ts', `import * as crypto from 'node:crypto';`, 'imports node:crypto (*)'],
    ['agent/src/domain/a.ts', `import { x } from 'node:net';`, 'imports node:net (x)'],
    ['agent/src/domain/a.ts', `import { x } from '../session/x.js';`, 'imports ../session/x.js (x)'],
    ['agent/src/state/a.ts', `import { x } from '../session/x.js';`, 'imports ../session/x.js (x)'],
    ['agent/src/session/a.ts', `import { x } from '@leasehold/server/main';`, 'imports @leasehold/server/main (x)'],
    ['sdk/src/a.ts', `import { x } from '@leasehold/proto/values';`, 'imports @leasehold/proto/values (x)'],
    ['sdk/src/cli/a.ts', `import { x } from 'yargs';`, 'imports yargs (x)'],
    ['fake/src/a.ts', `import { x } from 'pino';`, 'imports pino (x)'],
    ['program/src/a.ts', `import { x } from '@leasehold/proto/values';`, 'imports @leasehold/proto/values (x)'],
    ['server/src/app/a.ts', 'const t = Date.now();', 'touches Date.now'],
    ['server/src/app/a.ts', 'const t = new Date();', 'touches new Date()'],
    ['server/src/adapters/mongodb/a.ts', 'setTimeout(() => 0, 1);', 'touches setTimeout'],
    ['server/src/app/a.ts', 'setImmediate(() => 0);', 'touches setImmediate'],
    [
      'server/src/adapters/embedded/a.ts',
      `import { setTimeout } from 'node:timers';`,
      'imports node:timers (setTimeout)',
    ],
    ['agent/src/session/a.ts', 'const x = Math.random();', 'touches Math.random'],
    ['agent/src/backends/a.ts', 'const t = performance.now();', 'touches performance.now'],
    ['sdk/src/retry.ts', 'const s = AbortSignal.timeout(5);', 'touches AbortSignal.timeout'],
    ['server/src/transport/a.ts', `const x = process.env['X'];`, 'touches process.env'],
    ['agent/src/supervisor.ts', `process.on('SIGTERM', stop);`, 'touches process.on'],
    ['server/src/main.ts', 'const t = Date.now();', 'touches Date.now'],
    ['proto/src/a.ts', 'let x: any;', 'uses any'],
    ['proto/src/a.ts', 'enum A { B }', 'uses enum'],
    ['proto/src/a.ts', 'export default 1;', 'uses export default'],
    ['proto/src/a.ts', 'const x = 1; export { x as default };', 'uses export default'],
    ['agent/src/networks.ts', `import { env } from 'node:process';`, 'imports node:process (env)'],
    ['server/src/a.test.ts', `export * from 'vitest';`, 'uses export *'],
  ];

  test.each(planted)('%s: %s', (path, source, found) => {
    expect(violations(readFacts(path, source))).toEqual([`${path} ${found}`]);
  });
});

describe('what is allowed is not reported', () => {
  const allowed: readonly (readonly [path: string, source: string])[] = [
    [
      'server/src/main.ts',
      `import './adapters/x.js'; import './transport/x.js'; process.on('SIGTERM', () => process.env.X);`,
    ],
    [
      'server/src/app/a.ts',
      `import type { Clock } from '@leasehold/program/clock'; import { x } from '../domain/x.js';`,
    ],
    ['server/src/domain/a.ts', `import { createHash } from 'node:crypto'; const d = new Date(5); // Date.now() 'any'`],
    ['server/src/adapters/system/a.ts', 'const t = [Date.now(), Math.random(), setTimeout(run, 5)];'],
    ['server/src/adapters/embedded/a.ts', `import { setImmediate } from 'node:timers/promises'; await setImmediate();`],
    ['agent/src/system/a.ts', `import type { X } from '../backends/x.js'; import { randomBytes } from 'node:crypto';`],
    ['sdk/src/a.ts', `import { x } from './gen/ipam/v1/network.js'; import { y } from './cli/y.js';`],
  ];

  test.each(allowed)('%s: %s', (path, source) => {
    expect(violations(readFacts(path, source))).toEqual([]);
  });
});
