// What is provided, as it goes to agents, and what agents report, as the control plane reads it.

import type { Duration } from '@leasehold/proto/google/protobuf/duration';
import type { HostAttachment } from '@leasehold/proto/ipam/v1/host';
import { ConflictKind as WireConflictKind } from '@leasehold/proto/ipam/v1/reservation';
import type {
  Assignment,
  HeartbeatAck,
  Hello,
  SessionEpoch,
  SessionRequest,
  TableState,
  Sighting as WireSighting,
} from '@leasehold/proto/ipam/v1/session';
import { formatCidr, formatIpv4, type Parsed, parseIpv4, parseMac, parseResourceId } from '@leasehold/proto/values';
import type { ConflictKind, Sighting } from '../../domain/conflict.js';
import { type FieldViolation, invalidField, invalidFields, type Result, success } from '../../domain/errors.js';
import type { Seen } from '../../domain/hold-still.js';
import type { ForeignServer } from '../../domain/host.js';
import type { HostId, NetworkId, ReservationId } from '../../domain/ids.js';
import type { Subnet } from '../../domain/network.js';
import type { Pace } from '../../domain/pace.js';
import { MAX_RESERVATION_ID_LENGTH, type SlotKey } from '../../domain/reservation-id.js';
import { serviceAddress } from '../../domain/service-address.js';
import type { ObservedAttachment, ProvidedNetwork } from '../../ports/dhcp-provider.js';

/** A network to serve. */
export function toAssignment({ networkId, uid, subnets }: ProvidedNetwork): Assignment {
  return {
    networkUid: uid,
    serviceAddress: formatIpv4(serviceAddress(networkId)),
    subnets: subnets.map(toAssignedSubnet),
  };
}

function toAssignedSubnet(subnet: Subnet): Assignment['subnets'][number] {
  return {
    subnetId: subnet.subnetId,
    cidr: formatCidr(subnet.cidr),
    gateway: subnet.gateway === undefined ? '' : formatIpv4(subnet.gateway),
    dnsServers: subnet.dnsServers.map(formatIpv4),
    ntpServers: subnet.ntpServers.map(formatIpv4),
    domainName: subnet.domainName,
    domainSearch: [...subnet.domainSearch],
    mtu: subnet.mtu ?? 0,
    routes: subnet.routes.map(({ destination, nextHop }) => ({
      destination: formatCidr(destination),
      nextHop: formatIpv4(nextHop),
    })),
    options: subnet.options.map(({ code, value }) => ({ code, value })),
    leaseSeconds: subnet.leaseTimeS,
  };
}

/** What is dictated, as welcomes and acknowledgements tell it. */
export function toWirePace({
  intervalMs,
  spreadMs,
}: Pace): Required<Pick<HeartbeatAck, 'heartbeatInterval' | 'reconnectSpread'>> {
  return { heartbeatInterval: toDuration(intervalMs), reconnectSpread: toDuration(spreadMs) };
}

function toDuration(ms: number): Duration {
  return { seconds: BigInt(Math.floor(ms / 1_000)), nanos: (ms % 1_000) * 1e6 };
}

/** Reads a host id. */
export function fromHostId(text: string): Result<HostId> {
  const parsed = parseResourceId(text);
  return parsed.ok ? success(text as HostId) : invalidField('host_id', parsed.problem);
}

/** Reads attachments; refused whole when one is malformed or there are more than a host can have. */
export function fromAttachments(
  attachments: readonly HostAttachment[],
): Result<readonly (readonly [NetworkId, ObservedAttachment])[]> {
  const violations: FieldViolation[] = [];
  if (attachments.length > MAX_ATTACHMENTS) {
    violations.push({ field: 'attachments', description: `More than ${MAX_ATTACHMENTS}` });
  }
  attachments.forEach(({ networkId, interface: name }, i) => {
    const id = parseResourceId(networkId);
    if (!id.ok) violations.push({ field: `attachments[${i}].network_id`, description: id.problem });
    if (!INTERFACE.test(name))
      violations.push({ field: `attachments[${i}].interface`, description: 'Not an interface name' });
  });
  const foreign = attachments.map((each, i) => fromForeignServers(each, `attachments[${i}]`, violations));
  if (violations.length > 0) return invalidFields(violations);
  return success(
    attachments.map(({ networkId, interface: name, ready, reason }, i) => [
      networkId as NetworkId,
      { interface: name, ready, reason: cut(reason), foreignServers: foreign[i] ?? [] },
    ]),
  );
}

function fromForeignServers(
  { foreignDhcpServers }: HostAttachment,
  field: string,
  violations: FieldViolation[],
): readonly ForeignServer[] {
  if (foreignDhcpServers.length > MAX_FOREIGN_SERVERS) {
    violations.push({ field: `${field}.foreign_dhcp_servers`, description: `More than ${MAX_FOREIGN_SERVERS}` });
  }
  return foreignDhcpServers.flatMap(({ address, mac }, i): readonly ForeignServer[] => {
    const place = `${field}.foreign_dhcp_servers[${i}]`;
    const parsed = read(`${place}.address`, parseIpv4(address), violations);
    const parsedMac = mac === '' ? undefined : read(`${place}.mac`, parseMac(mac), violations);
    return parsed === undefined ? [] : [{ address: parsed, ...(parsedMac === undefined ? {} : { mac: parsedMac }) }];
  });
}

function read<T>(field: string, parsed: Parsed<T>, violations: FieldViolation[]): T | undefined {
  if (parsed.ok) return parsed.value;
  violations.push({ field, description: parsed.problem });
  return undefined;
}

/** Reads what was noticed; refused whole when one is malformed or there are too many. */
export function fromSightings(
  sightings: readonly WireSighting[],
  hostId: HostId,
): Result<readonly { readonly place: SlotKey; readonly sighting: Sighting }[]> {
  const violations: FieldViolation[] = [];
  if (sightings.length > MAX_SIGHTINGS) {
    violations.push({ field: 'sightings', description: `More than ${MAX_SIGHTINGS}` });
  }
  const found = sightings.flatMap(({ networkId, address, reservationId, kind, sourceMac }, i) => {
    const field = `sightings[${i}]`;
    const network = read(`${field}.network_id`, parseResourceId(networkId), violations);
    const at = read(`${field}.address`, parseIpv4(address), violations);
    const mac = read(`${field}.source_mac`, parseMac(sourceMac), violations);
    const known = KINDS.get(kind);
    if (!known) violations.push({ field: `${field}.kind`, description: 'Not a kind of what is noticed' });
    checkText(`${field}.reservation_id`, reservationId, MAX_RESERVATION_ID_LENGTH, violations);
    if (network === undefined || at === undefined || mac === undefined || !known) return [];
    const sighting = { kind: known, sourceMac: mac, hostId, reservationId: reservationId as ReservationId };
    return [{ place: { networkId: networkId as NetworkId, address: at }, sighting }];
  });
  return violations.length > 0 ? invalidFields(violations) : success(found);
}

const KINDS: ReadonlyMap<WireConflictKind, ConflictKind> = new Map([
  [WireConflictKind.DECLINED, 'declined'],
  [WireConflictKind.ADDRESS_IN_USE, 'address-in-use'],
  [WireConflictKind.RELEASED, 'released'],
]);

/** Reads a part of a hello; what is kept of it is small, whatever it says. */
export function fromHelloPart(part: Hello): Result<Hello> {
  const hostId = fromHostId(part.hostId);
  if (!hostId.ok) return hostId;
  const { failureDomain, backend, agentVersion } = part;
  const violations: FieldViolation[] = [];
  checkText('failure_domain', failureDomain, MAX_NAME, violations);
  checkText('backend', backend, MAX_NAME, violations);
  checkText('agent_version', agentVersion, MAX_VERSION, violations);
  if (violations.length > 0) return invalidFields(violations);
  const attachments = fromAttachments(part.attachments);
  if (!attachments.ok) return attachments;
  const tables = fromTables(part.tables);
  if (!tables.ok) return tables;
  return success({
    ...part,
    attachments: part.attachments.map((each) => ({ ...each, reason: cut(each.reason) })),
    tables: [...tables.value],
  });
}

/** Reads what an agent knows of the store it was last connected to; undefined: of none. */
export function fromSeen({ storeUid, incarnation, highestEpoch }: Hello): Result<Seen | undefined> {
  if (storeUid === '' || !highestEpoch) return success(undefined);
  const { holderEpoch, counter } = highestEpoch;
  if (incarnation > MAX_COUNT) return invalidField('hello.incarnation', `Larger than ${MAX_COUNT}`);
  if (holderEpoch > MAX_COUNT) return invalidField('hello.highest_epoch.holder_epoch', `Larger than ${MAX_COUNT}`);
  return success({ storeUid, incarnation: Number(incarnation), holderEpoch: Number(holderEpoch), counter });
}

/** Reads a message of a session that began; its tables are checked. */
export function fromSessionMessage(message: SessionRequest['message']): Result<SessionRequest['message']> {
  if (message?.$case === 'heartbeat') {
    const tables = fromTables(message.value.tables);
    return tables.ok ? success({ ...message, value: { ...message.value, tables: [...tables.value] } }) : tables;
  }
  if (message?.$case === 'deliveryAck' && message.value.table) {
    const tables = fromTables([message.value.table]);
    return tables.ok ? success({ ...message, value: { ...message.value, table: tables.value[0] } }) : tables;
  }
  return success(message);
}

/** Reads what an agent says of its tables; refused whole when one is malformed. */
function fromTables(tables: readonly TableState[]): Result<readonly TableState[]> {
  const violations: FieldViolation[] = [];
  tables.forEach(({ networkId, networkUid, digest }, i) => {
    const id = parseResourceId(networkId);
    if (!id.ok) violations.push({ field: `tables[${i}].network_id`, description: id.problem });
    checkText(`tables[${i}].network_uid`, networkUid, MAX_NAME, violations);
    if (digest.length > MAX_DIGEST) {
      violations.push({ field: `tables[${i}].digest`, description: `Longer than ${MAX_DIGEST} bytes` });
    }
  });
  if (violations.length > 0) return invalidFields(violations);
  return success(
    tables.map((state) => (state.reason.length > MAX_REASON ? { ...state, reason: cut(state.reason) } : state)),
  );
}

function checkText(field: string, text: string, max: number, violations: FieldViolation[]): void {
  if (text.length <= max && !/\p{C}/u.test(text)) return;
  violations.push({ field, description: `Not up to ${max} printable characters` });
}

// A slice of a string keeps all of it in memory: what is kept is a copy.
function cut(reason: string): string {
  return reason.length > MAX_REASON ? Buffer.from(reason.slice(0, MAX_REASON)).toString() : reason;
}

/** Of a host: a VLAN trunk has 4,094 networks. */
export const MAX_ATTACHMENTS = 4_096;
// IFNAMSIZ is 16 with the final zero; slashes and white space are what the kernel refuses.
const INTERFACE = /^[^\s/]{1,15}$/;
// Nothing counts so many starts.
const MAX_COUNT = 2 ** 40;
const MAX_NAME = 63;
const MAX_VERSION = 64;
const MAX_DIGEST = 64;
const MAX_REASON = 256;
const MAX_FOREIGN_SERVERS = 4;
const MAX_SIGHTINGS = 100;

/** Whether two session epochs are the same. */
export function sameEpoch(a: SessionEpoch | undefined, b: SessionEpoch): boolean {
  return a?.holderEpoch === b.holderEpoch && a.counter === b.counter;
}

/** Why an agent does not answer with a table, cut to what is worth keeping. */
export function reasonOf(state: TableState | undefined): string {
  return cut(state?.reason ?? '');
}
