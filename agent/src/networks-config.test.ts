import { expect, test } from 'vitest';
import { findClash, parseNetwork, parseNetworksFile } from './networks-config.js';

test('a network and its interface are written ID=IFACE', () => {
  expect(parseNetwork('red=br-red')).toEqual({ ok: true, value: { networkId: 'red', interface: 'br-red' } });
  expect(parseNetwork('red=eth0.100@x')).toMatchObject({ ok: true });
});

test.each([
  'red',
  'red=',
  '=br-red',
  'red=br=x',
  'Red=br-red',
  'red=a/b',
  'red=a b',
  'red=.',
  'red=..',
  'red=abcdefghijklmnop',
  'red=a:1',
])('%j is refused', (text) => {
  expect(parseNetwork(text)).toMatchObject({ ok: false });
});

test('a networks file has one network a line, comments and empty lines', () => {
  const text = '# tenants\nred=br-red\n\n  blue=br-blue  # the blue one\r\n';
  expect(parseNetworksFile(text, [])).toEqual({
    ok: true,
    value: [
      { networkId: 'red', interface: 'br-red' },
      { networkId: 'blue', interface: 'br-blue' },
    ],
  });
});

test('a problem in a networks file names its line', () => {
  expect(parseNetworksFile('red=br-red\n\nblue\n', [])).toEqual({
    ok: false,
    problem: 'line 3: "blue" is not ID=IFACE, like red=br-red',
  });
});

test('a network has one interface and an interface one network, also against the command line', () => {
  const given = [{ networkId: 'red', interface: 'br-red' }];
  const problemOf = (text: string) => parseNetworksFile(text, given);
  expect(problemOf('red=br-2')).toMatchObject({ problem: 'line 1: Network red is given twice' });
  expect(problemOf('blue=br-red')).toMatchObject({
    problem: 'line 1: Interface br-red is given to two networks, red and blue',
  });
  expect(findClash([...given, { networkId: 'blue', interface: 'br-blue' }])).toBeUndefined();
});
