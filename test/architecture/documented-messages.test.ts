// What an operator may find in a log at night stands on the operations page.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { repositoryRoot } from '../support/repository.js';

const PAGE = readFileSync(join(repositoryRoot, 'docs/operations.md'), 'utf8');
// Of a text with values in it the words before the first one.
const LOGGED = /\.(?:warn|error)\(\s*(?:'([^']+)'|`([^`$]+))/g;

test.each(['server', 'agent', 'program'])('every warning and error of %s is documented', (workspace) => {
  const directory = join(repositoryRoot, workspace, 'src');
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  const sources = names.filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'));
  const messages = sources.flatMap((name) => {
    const source = readFileSync(join(directory, name), 'utf8');
    return Array.from(source.matchAll(LOGGED), ([, text, begin]) => text ?? begin?.trimEnd() ?? '');
  });
  expect(messages.length).toBeGreaterThan(0);
  expect(messages.filter((message) => !PAGE.includes(message))).toEqual([]);
});
