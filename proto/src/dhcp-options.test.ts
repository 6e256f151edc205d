import { describe, expect, test } from 'vitest';
import { ALLOWED_OPTION_CODES, parseDhcpOption } from './dhcp-options.js';

const printed = (code: number, value: string) => {
  const parsed = parseDhcpOption(code, value);
  return parsed.ok ? { value: parsed.value.value, bytes: [...parsed.value.bytes] } : parsed.problem;
};

describe('parseDhcpOption', () => {
  test.each([
    [7, '10.0.0.1, 10.0.0.2', { value: '10.0.0.1,10.0.0.2', bytes: [10, 0, 0, 1, 10, 0, 0, 2] }],
    [44, '255.254.253.252', { value: '255.254.253.252', bytes: [255, 254, 253, 252] }],
    [46, '8', { value: '8', bytes: [8] }],
    [67, 'a,"b', { value: 'a,"b', bytes: [0x61, 0x2c, 0x22, 0x62] }],
  ])('option %i takes %j', (code, value, expected) => {
    expect(printed(code, value)).toEqual(expected);
  });

  test.each([
    [46, '3', /node type/],
    [46, '08', /node type/],
    [150, '10.0.0.01', /IPv4/],
    [150, '', /IPv4/],
    [150, '10.0.0.1,', /IPv4/],
    [150, '10.0.0.1,\n10.0.0.2', /IPv4/],
    [150, '10.0.0.1\u00a0', /IPv4/],
    [66, '', /empty/],
    [66, 'tftp\n', /printable/],
    [66, 'tftp\0', /printable/],
    [66, 'tftpé', /printable/],
    [67, 'x'.repeat(256), /256 bytes, at most 255/],
    [7, Array(64).fill('10.0.0.1').join(','), /256 bytes, at most 255/],
    [114, 'http://portal.example', /https/],
    [114, 'https://portal.example/\n', /https|printable/],
  ])('option %i refuses %j', (code, value, problem) => {
    expect(printed(code, value)).toMatch(problem);
  });

  test.each([
    [1, 'cidr'],
    [3, 'gateway'],
    [6, 'dns_servers'],
    [12, 'hostname'],
    [15, 'domain_name'],
    [26, 'mtu'],
    [42, 'ntp_servers'],
    [51, 'lease_time'],
    [58, 'lease_time'],
    [59, 'lease_time'],
    [119, 'domain_search'],
    [121, 'routes'],
  ])('option %i has a field of its own, the refusal names %s', (code, field) => {
    expect(printed(code, '10.0.0.1')).toContain(field);
  });

  test.each([0, 50, 52, 53, 54, 55, 57, 61, 82, 255])('option %i belongs to the exchange', (code) => {
    expect(printed(code, '10.0.0.1')).toMatch(/belongs to the DHCP exchange/);
  });

  test.each([4, 43, 256, -1, 7.5])('option %d is not on the list, the refusal tells the list', (code) => {
    expect(printed(code, '10.0.0.1')).toContain(ALLOWED_OPTION_CODES.join(', '));
  });

  test('canonical text parses to itself', () => {
    const samples: Readonly<Record<number, string>> = { 46: '2', 114: 'https://portal.example/api' };
    for (const code of ALLOWED_OPTION_CODES) {
      const addresses = parseDhcpOption(code, '10.0.0.1 ,10.0.0.2');
      const first = addresses.ok ? addresses : parseDhcpOption(code, samples[code] ?? 'text');
      if (!first.ok) throw new Error(first.problem);
      expect(printed(code, first.value.value)).toEqual({ value: first.value.value, bytes: [...first.value.bytes] });
    }
  });
});
