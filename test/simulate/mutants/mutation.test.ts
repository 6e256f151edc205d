import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { repositoryRoot } from '../../support/repository.js';
import { mutated } from './mutation.js';

const run = promisify(execFile);

describe('an edit', () => {
  const edits = [['a < b', 'a <= b']] as const;

  test('changes the one place it fits', () => {
    expect(mutated('return a < b;', { name: 'm', edits })).toBe('return a <= b;');
  });

  test.each(['return b > a;', 'a < b || a < b'])('that does not fit exactly one place is refused: %s', (source) => {
    expect(() => mutated(source, { name: 'm', edits })).toThrow(/fits [02] places/);
  });

  test('is taken as it is written', () => {
    expect(mutated('x', { name: 'm', edits: [['x', '$&$1']] })).toBe('$&$1');
  });
});

test('a mutant is what later imports get, and only in its module', async () => {
  const mutation = join(repositoryRoot, 'test/dist/simulate/mutants/mutation.js');
  const script = `
    const { switchOn } = await import(${JSON.stringify(mutation)});
    switchOn({
      name: 'slow', mistake: 'hosts are never called down', module: '@leasehold/server/domain/liveness',
      edits: [["return 'down';", "return 'up';"]],
    });
    const { liveness } = await import('@leasehold/server/domain/liveness');
    console.log(liveness(0, undefined, 60_000, 1_000));`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: join(repositoryRoot, 'test'),
  });
  expect(stdout.trim()).toBe('up');
});
