import { type Cidr, type Ipv4, parseCidr, parseIpv4 } from '@leasehold/proto/values';
import { describe, expect, test } from 'vitest';
import { addresses, classlessRoutes, domainSearch, u16, u32 } from './option-values.js';

const ip = (text: string): Ipv4 => {
  const parsed = parseIpv4(text);
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.value;
};
const net = (text: string): Cidr => {
  const parsed = parseCidr(text);
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.value;
};

describe('option values', () => {
  test('numbers and addresses are big-endian, also above 2^31', () => {
    expect([...u16(1400)]).toEqual([5, 120]);
    expect([...u32(604_800)]).toEqual([0, 9, 58, 128]);
    expect([...addresses([ip('224.1.2.3'), ip('10.0.0.1')])]).toEqual([224, 1, 2, 3, 10, 0, 0, 1]);
  });

  // The examples of RFC 3442, "Classless Route Option Format".
  test.each([
    ['0.0.0.0/0', [0]],
    ['10.0.0.0/8', [8, 10]],
    ['10.17.0.0/16', [16, 10, 17]],
    ['10.27.129.0/24', [24, 10, 27, 129]],
    ['10.229.0.128/25', [25, 10, 229, 0, 128]],
    ['10.198.122.47/32', [32, 10, 198, 122, 47]],
  ])('the destination descriptor of %s', (destination, descriptor) => {
    const bytes = classlessRoutes([{ destination: net(destination), nextHop: ip('192.0.2.1') }]);
    expect([...bytes]).toEqual([...descriptor, 192, 0, 2, 1]);
  });

  // The example of RFC 3397 §2.
  test('search domains share what they end in', () => {
    const bytes = Buffer.from(domainSearch(['eng.apple.com', 'marketing.apple.com']));
    expect(bytes.toString('latin1')).toBe('\x03eng\x05apple\x03com\x00\x09marketing\xc0\x04');
  });

  test('a domain that ends another one is only a pointer', () => {
    expect(Buffer.from(domainSearch(['a.example', 'example'])).toString('latin1')).toBe('\x01a\x07example\x00\xc0\x02');
  });
});
