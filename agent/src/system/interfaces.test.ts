import { describe, expect, test } from 'vitest';
import { boottimeNow } from './boottime.js';
import { firstAddressOf, nameOfInterface, systemInterfaces } from './interfaces.js';

describe('readLink', () => {
  test('an interface that is not there is told as absent, with its name', () => {
    expect(systemInterfaces.readLink('no-such-if')).toEqual({ absent: 'There is no interface no-such-if' });
  });

  test.each(['', 'a-name-of-16-byt', 'br0\0'])('%j cannot be the name of an interface', (name) => {
    expect(systemInterfaces.readLink(name)).toEqual({ absent: expect.stringContaining('cannot be the name') });
  });

  test('the loopback interface is either up with the index 1, or down', () => {
    expect([{ name: 'lo', index: 1 }, { absent: 'Interface lo is down' }]).toContainEqual(
      systemInterfaces.readLink('lo'),
    );
  });
});

test('the first address of an interface is told, and none of one that has none', () => {
  expect([undefined, 0x7f000001]).toContain(firstAddressOf('lo'));
  expect(firstAddressOf('no-such-if')).toBeUndefined();
});

test('an interface has the name that goes with its index, and none when it is gone', () => {
  expect(nameOfInterface(1)).toBe('lo');
  expect(nameOfInterface(0x7fffffff)).toBeUndefined();
});

describe('boottimeNow', () => {
  test('never goes back, and is no less than the uptime of this process', () => {
    const first = boottimeNow();
    expect(boottimeNow()).toBeGreaterThanOrEqual(first);
    expect(first).toBeGreaterThan(performance.now());
  });
});
