import { describe, expect, test } from 'vitest';
import { formatStore, parseStore, withoutUser } from './store-target.js';

describe('a store', () => {
  test.each([
    ['embedded:./data', { kind: 'embedded', path: './data' }],
    [
      'mongodb://a,b:27018/leasehold?replicaSet=rs0',
      { kind: 'mongodb', uri: 'mongodb://a,b:27018/leasehold?replicaSet=rs0' },
    ],
    ['mongodb+srv://db.example/leasehold', { kind: 'mongodb', uri: 'mongodb+srv://db.example/leasehold' }],
  ])('%s is understood', (text, value) => {
    expect(parseStore(text)).toEqual({ ok: true, value });
  });

  test.each([
    ['embedded:', /embedded:PATH/],
    ['sqlite:x', /embedded:PATH or mongodb:/],
    ['mongodb://a', /names no database/],
    ['mongodb://a/', /names no database/],
    ['mongodb://a/?replicaSet=rs0', /names no database/],
  ])('%s is refused, and told what is expected', (text, problem) => {
    expect(parseStore(text)).toMatchObject({ ok: false, problem: expect.stringMatching(problem) as string });
  });

  test('is shown without its user and password', () => {
    const uri = 'mongodb://leasehold:s3cret@a,b/leasehold?replicaSet=rs0';
    expect(formatStore({ kind: 'mongodb', uri })).toBe('mongodb://a,b/leasehold?replicaSet=rs0');
    expect(withoutUser(`cannot reach ${uri} now`)).not.toContain('s3cret');
    expect(formatStore({ kind: 'embedded', path: '/data' })).toBe('embedded:/data');
  });
});
