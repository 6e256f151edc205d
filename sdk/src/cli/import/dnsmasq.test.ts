import { describe, expect, test } from 'vitest';
import { parseDnsmasq } from './dnsmasq.js';

const MAC = '52:54:00:00:00:01';

/** What is found, a line each. */
function found(text: string): string[] {
  return parseDnsmasq(text).findings.map(({ severity, about, what }) => `${severity} ${about}: ${what}`);
}

describe('a file of dnsmasq', () => {
  test('as configuration: only dhcp-host is looked at, the rest is counted', () => {
    const text = `# hosts\ninterface=br0\ndhcp-range=10.0.0.2,static\ndhcp-host=${MAC},10.0.0.7,web # a comment\n\tdhcp-host = 52:54:00:00:00:02\n`;
    expect(parseDnsmasq(text).entries).toEqual([
      { line: 4, mac: MAC, address: '10.0.0.7', hostname: 'web', labels: {} },
      { line: 5, mac: '52:54:00:00:00:02', labels: {} },
    ]);
    expect(found(text)).toEqual(['note file: 2 lines are not dhcp-host: not looked at']);
  });

  test('as hosts file: every line is a host, its fields in any order', () => {
    const text = `10.0.0.7,${MAC}\r\n\r\n # nobody\nWeb, 52:54:0:0:0:2 ,10.0.0.8\n01-52:54:00:00:00:03,"db"\n`;
    expect(parseDnsmasq(text)).toEqual({
      entries: [
        { line: 1, mac: MAC, address: '10.0.0.7', labels: {} },
        { line: 4, mac: '52:54:00:00:00:02', address: '10.0.0.8', hostname: 'web', labels: {} },
        { line: 5, mac: '52:54:00:00:00:03', hostname: 'db', labels: {} },
      ],
      findings: [],
    });
  });

  test.each<[string, string]>([
    [`${MAC},id:01:52:54,10.0.0.7`, 'the client id: guests are told apart by MAC'],
    [`${MAC},set:blue,10.0.0.7`, 'the tag that it sets: there are no tags, use labels and options of the reservation'],
    [`${MAC},net:blue,10.0.0.7`, 'the tag that it sets: there are no tags, use labels and options of the reservation'],
    [`${MAC},tag:blue,10.0.0.7`, 'the tag that it asks for: it is imported without this condition'],
    [`${MAC},10.0.0.7,12h`, 'the lease time: a subnet has one for all'],
    [`${MAC},10.0.0.7,infinite`, 'the lease time: a subnet has one for all'],
    [`${MAC},10.0.0.7,3600`, 'the lease time: a subnet has one for all'],
    [`${MAC},10.0.0.7,[fd00::7]`, 'the IPv6 address: reservations are of IPv4'],
    [`${MAC},10.0.0.7,web.example.org`, 'the domain example.org: a subnet has one for all'],
  ])('of which not all can be kept says so: %s', (line, what) => {
    expect(found(line)).toEqual([`note line 1: ${what}`]);
    expect(parseDnsmasq(line).entries).toMatchObject([{ mac: MAC, address: '10.0.0.7' }]);
  });

  test('needs no word for id:*, which is how it is here', () => {
    expect(found(`${MAC},id:*,10.0.0.7`)).toEqual([]);
  });

  test('passes over hosts that are ignored, and says so', () => {
    const { entries, findings } = parseDnsmasq(`${MAC},ignore`);
    expect(entries).toEqual([]);
    expect(findings).toMatchObject([{ severity: 'note', about: 'line 1' }]);
  });

  test.each<[string, string]>([
    ['laptop,10.0.0.7', 'has no MAC: reservations are for MACs'],
    ['id:01:02:03,10.0.0.7', 'has no MAC: reservations are for MACs'],
    [`${MAC},52:54:00:00:00:02,10.0.0.7`, 'names several MACs, an address has one'],
    [`${MAC},10.0.0.7,10.0.0.8`, 'names several addresses, a MAC has one'],
    [`${MAC},a,b`, 'names the host twice'],
    ['52:54:00:*:*:*,10.0.0.7', 'the MAC has a wildcard: a reservation is for one MAC'],
    ['06-52:54:00:00:00:01,10.0.0.7', 'the ARP type 06 is not Ethernet'],
    ['52:54:00:00:00,10.0.0.7', '"52:54:00:00:00" is not a MAC address like 52:54:00:aa:bb:cc'],
    [`${MAC},10.0.0.256`, '"10.0.0.256" is not an IPv4 address: 256 is over 255'],
    [`${MAC},a_b`, '"a_b" is not a host name: one label of letters, digits and dashes, up to 63 characters'],
    [`${MAC},,10.0.0.7`, 'has an empty field: two commas, or one at an end'],
  ])('with %s is refused', (line, what) => {
    const problems = parseDnsmasq(line).findings.filter(({ severity }) => severity === 'problem');
    expect(problems.map((one) => one.what)).toEqual([what]);
    expect(parseDnsmasq(line).entries).toEqual([]);
  });
});
