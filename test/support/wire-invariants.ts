// What may be heard on the wire of a network, whatever guests do. Pure.
//
//   W1. A MAC is told the address that is promised to it, and never again one that was promised before, once it was told
//       the newer one.
//   W2. A MAC without a promise hears nothing.
//   W3. Nobody hears a NAK whose test did not announce it.
//   W4. All servers of a network have one identifier.

/** What a server said. */
export interface HeardAnswer {
  readonly kind: 'offer' | 'ack' | 'nak';
  readonly mac: string;
  /** The address told; 0.0.0.0: none, as in a NAK and in an answer to INFORM. */
  readonly address: string;
  /** Option 54. */
  readonly serverId: string;
}

/** What servers may say. */
export interface WirePromises {
  /** The addresses of a MAC, one after another. */
  readonly addresses: ReadonlyMap<string, readonly string[]>;
  /** The MACs that may be refused. */
  readonly naks: ReadonlySet<string>;
}

const NO_ADDRESS = '0.0.0.0';

/** Everything that should not have been said, each in a line; empty when all is well. */
export function wireViolations(answers: readonly HeardAnswer[], promises: WirePromises): readonly string[] {
  const violations: string[] = [];
  const told = new Map<string, number>();
  for (const answer of answers) {
    const { kind, mac, address, serverId } = answer;
    const wrong = (why: string) => violations.push(`${kind} of ${address} to ${mac} by ${serverId}: ${why}`);
    const first = answers[0]?.serverId ?? serverId;
    if (serverId !== first) wrong(`the server is ${first}`);
    const addresses = promises.addresses.get(mac);
    if (addresses === undefined) wrong('nothing is promised to it');
    else if (kind === 'nak') {
      if (!promises.naks.has(mac)) wrong('it is refused nothing');
    } else if (address !== NO_ADDRESS || kind === 'offer') {
      const place = addresses.indexOf(address);
      if (place < (told.get(mac) ?? 0)) wrong(`it has ${addresses.join(', then ')}`);
      else told.set(mac, place);
    }
  }
  return violations;
}
