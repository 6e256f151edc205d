// Which network is on which interface, as an operator writes it: `ID=IFACE`.
//
// A network has one interface and an interface one network: two DHCP services cannot share a wire.

import { type Parsed, parseResourceId, quote } from '@leasehold/proto/values';

/** A network and its interface. */
export interface ConfiguredNetwork {
  readonly networkId: string;
  readonly interface: string;
}

// Linux: 1 to 15 bytes, no slash, no white space, not a dot or two (dev_valid_name).
const INTERFACE = /^(?!\.{1,2}$)[^\s/:\p{Cc}]{1,15}$/u;

/** Parses `ID=IFACE`. */
export function parseNetwork(text: string): Parsed<ConfiguredNetwork> {
  const [id = '', name, ...rest] = text.split('=');
  if (name === undefined || rest.length > 0) return bad(`${quote(text)} is not ID=IFACE, like red=br-red`);
  const networkId = parseResourceId(id);
  if (!networkId.ok) return networkId;
  if (!INTERFACE.test(name) || Buffer.byteLength(name) > 15)
    return bad(`${quote(name)} is not the name of an interface`);
  return { ok: true, value: { networkId: networkId.value, interface: name } };
}

/** Parses a networks file: one `ID=IFACE` a line, `#` begins a comment. A problem names its line. */
export function parseNetworksFile(text: string, given: readonly ConfiguredNetwork[]): Parsed<ConfiguredNetwork[]> {
  const networks: ConfiguredNetwork[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const content = line.replace(/#.*$/, '').trim();
    if (content === '') continue;
    const network = parseNetwork(content);
    const problem = network.ok ? findClash([...given, ...networks, network.value]) : network.problem;
    if (problem !== undefined) return bad(`line ${index + 1}: ${problem}`);
    if (network.ok) networks.push(network.value);
  }
  return { ok: true, value: networks };
}

/** Says which network or interface is given twice. */
export function findClash(networks: readonly ConfiguredNetwork[]): string | undefined {
  const interfaces = new Map<string, string>();
  const ids = new Set<string>();
  for (const { networkId, interface: name } of networks) {
    const other = interfaces.get(name);
    if (ids.has(networkId)) return `Network ${networkId} is given twice`;
    if (other !== undefined) return `Interface ${name} is given to two networks, ${other} and ${networkId}`;
    interfaces.set(name, networkId);
    ids.add(networkId);
  }
  return undefined;
}

function bad(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem };
}
