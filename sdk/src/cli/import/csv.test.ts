import { describe, expect, test } from 'vitest';
import { parseCsv } from './csv.js';

const MAC = '52:54:00:00:00:01';

/** What is wrong, a line each. */
function wrong(text: string, ignored?: readonly string[]): string[] {
  return parseCsv(text, ignored).findings.map(({ about, what }) => `${about}: ${what}`);
}

describe('a CSV file', () => {
  test('names its columns in any order, also by other words, and holds labels', () => {
    const text = `Address,MAC,label.tier,Owner,subnet,name\n10.0.0.7,${MAC},prod,vm-1/nic0,red-a,Web\n,52-54-00-AA-BB-CC,,,,\n`;
    expect(parseCsv(text)).toEqual({
      entries: [
        {
          ...{ line: 2, mac: MAC, address: '10.0.0.7', hostname: 'web', owner: 'vm-1/nic0', subnetId: 'red-a' },
          labels: { tier: 'prod' },
        },
        { line: 3, mac: '52:54:00:aa:bb:cc', labels: {} },
      ],
      findings: [],
    });
  });

  test('quotes as RFC 4180 has it: commas, doubled quotes and line ends, which count', () => {
    const text = `mac,owner,network\r\n${MAC},"a ""b"", c",red\r\n\r\n"52:54:00:00:00:02","d",red\r\nx,"two\nlines",red`;
    const { entries, findings } = parseCsv(text);
    expect(entries).toMatchObject([
      { line: 2, owner: 'a "b", c' },
      { line: 4, owner: 'd' },
    ]);
    expect(findings.map(({ about }) => about)).toEqual(['line 5', 'line 5']);
  });

  test('counts the lines within quotes', () => {
    const text = `mac,label.note\n${MAC},"a\nb"\nx,`;
    expect(wrong(text)).toEqual([
      'line 2: Value of "note" has control characters',
      'line 4: "x" is not a MAC address like 52:54:00:aa:bb:cc',
    ]);
  });

  test.each<[string, string, string]>([
    ['is empty', '', 'line 1: There is no header row'],
    ['has no column for MACs', 'address\n10.0.0.7\n', 'line 1: There is no column mac'],
    ['has a mistyped column', 'mac,adress\n', 'line 1: unknown column "adress", did you mean address?'],
    ['has a column for nothing', 'mac,rack\n', 'line 1: unknown column "rack"'],
    ['says one thing twice', 'mac,ip,address\n', 'line 1: two columns say address'],
    ['has semicolons', 'mac;address\n', 'line 1: Its columns are separated by semicolons'],
    [
      'does not close a quote',
      `mac,owner\n${MAC},"x\n`,
      'line 2: a quote is not closed, or stands in the midst of a field',
    ],
    [
      'has a quote within a field',
      `mac,owner\n${MAC},x"y\n`,
      'line 2: a quote is not closed, or stands in the midst of a field',
    ],
    ['has a row that is too short', `mac,owner\n${MAC}\n`, 'line 2: has 1 fields, the header 2'],
    ['has a row without MAC', 'mac,owner\n,x\n', 'line 2: has no MAC'],
    ['has a wrong address', `mac,ip\n${MAC},10.0.0.007\n`, 'line 2: "10.0.0.007" is not an IPv4 address like 10.0.0.7'],
    [
      'has a multicast MAC',
      'mac\n01:54:00:00:00:01\n',
      'line 2: MAC address 01:54:00:00:00:01 is a multicast address, a vNIC has a unicast one',
    ],
    ['has a zero MAC', 'mac\n00:00:00:00:00:00\n', 'line 2: MAC address is zero'],
    [
      'has a wrong host name',
      `mac,name\n${MAC},a_b\n`,
      'line 2: "a_b" is not a host name: one label of letters, digits and dashes, up to 63 characters',
    ],
    [
      'has a host name that is a setting',
      `mac,name\n${MAC},12h\n`,
      'line 2: "12h" cannot be a host name, DHCP servers read it as a setting',
    ],
    [
      'has a wrong id',
      `mac,network\n${MAC},Red\n`,
      'line 2: "Red" is not an id: 1 to 63 characters, lower-case letters, digits, dots, dashes and underscores, beginning with a letter or digit',
    ],
    ['has a long owner', `mac,owner\n${MAC},${'x'.repeat(256)}\n`, 'line 2: Owner: Longer than 255 characters'],
    ['has a long label', `mac,label.a\n${MAC},${'é'.repeat(128)}\n`, 'line 2: Value of "a" is over 255 bytes'],
    [
      'has more labels than a reservation may have',
      `mac,${Array.from({ length: 33 }, (_, n) => `label.l${n}`).join()}\n${MAC}${',x'.repeat(33)}\n`,
      'line 2: has more than 32 labels',
    ],
    ['has a column that every object has', 'mac,constructor\n', 'line 1: unknown column "constructor"'],
  ])('that %s is refused', (_, text, expected) => {
    expect(wrong(text)).toEqual([expected]);
    expect(parseCsv(text).entries).toEqual([]);
  });

  test('passes over the columns that it is told to', () => {
    expect(wrong(`mac,rack\n${MAC},7\n`, ['rack'])).toEqual([]);
  });

  test('tells everything that is wrong with a row', () => {
    expect(wrong('mac,ip\nx,y\n')).toHaveLength(2);
  });

  test('of megabytes that never closes its quote is refused at once', () => {
    for (const inside of ['x,', '""']) {
      expect(wrong(`mac,owner\n${MAC},"${inside.repeat(10_000_000)}`)).toEqual([
        'line 2: a quote is not closed, or stands in the midst of a field',
      ]);
    }
  });
});
