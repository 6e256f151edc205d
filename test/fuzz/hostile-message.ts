// Messages as an attacker writes them: of a type that the server expects, so that they get past the first look, with
// values and bytes that nobody means. Chance is an argument: the same numbers make the same message.

import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** Numbers from 0 to 1 (excluded). */
export type Chance = () => number;

/** One of these. */
export function pick<T>(chance: Chance, from: readonly [T, ...T[]]): T {
  return from[Math.floor(chance() * from.length)] ?? from[0];
}

// Ids that the fuzzer may make; whatever else is there must stay as it is.
const IDS = ['fuzz-0', 'fuzz-1', 'fuzz-2', 'fuzz-3'] as const;

const TEXTS = [
  ...IDS,
  ...['', '*', '0', '-1', 'NaN', '__proto__', 'constructor', 'null', '../../etc/passwd', '$where', '{"$gt":""}'],
  ...['10.9.0.0/24', '10.9.0.7', '10.9.0.1', '010.9.0.7', '10.9.0.0/255.0.255.0', '::ffff:10.9.0.7', 'fe80::1%eth0'],
  ...['52:54:00:aa:bb:01', '52-54-00-AA-BB-02', '00:00:00:00:00:00', 'ff:ff:ff:ff:ff:ff', '5254.00aa.bb03'],
  ...['\0', 'a\nb', '\u202e', '\ud800', 'é'.repeat(200), 'x'.repeat(300), 'x'.repeat(70_000), '%s%n', '\u001b[2J'],
  ...['network_id', 'labels', 'display_name,labels', 'subnet.cidr', 'https://a/', 'dhcp-option=1', '9'.repeat(400)],
] as const;

const NUMBERS = [0, 1, 2, 3, 5, 16, 17, 100, 1_001, 65_535, 0x7fff_ffff, 0xffff_ffff] as const;
const ENUMS = [0, 1, 2, 3, 99, -1, 0x7fff_ffff] as const;
const BIG = [0n, 1n, 60n, 3_600n, 0x7fff_ffffn, 0xffff_ffffn, 0x7fff_ffff_ffff_ffffn, 0xffff_ffff_ffff_ffffn] as const;
const MAX_DEPTH = 5;

/** A message of this type. */
export function hostileMessage(type: DescMessage, chance: Chance): Uint8Array {
  const writer = new BinaryWriter();
  writeFields(writer, type, chance, 0);
  if (chance() < 0.1) writeUnknown(writer, chance);
  const bytes = writer.finish();
  return chance() < 0.4 ? damaged(bytes, chance) : bytes;
}

function writeFields(writer: BinaryWriter, type: DescMessage, chance: Chance, depth: number): void {
  for (const field of type.fields) {
    if (chance() < 0.4) continue;
    const times = field.fieldKind === 'list' || field.fieldKind === 'map' ? pick(chance, [0, 1, 2, 40]) : 1;
    for (let n = 0; n < times; n++) writeField(writer, field, chance, depth);
    // A field that there may be once, again: the last one counts, and messages are merged.
    if (times === 1 && chance() < 0.05) writeField(writer, field, chance, depth);
  }
}

function writeField(writer: BinaryWriter, field: DescField, chance: Chance, depth: number): void {
  if (chance() < 0.02) writeOtherKind(writer, field.number, chance);
  else if (field.fieldKind === 'map') writeEntry(writer, field, chance);
  else if (field.message) writeMessage(writer, field.number, field.message, chance, depth + 1);
  else if (field.enum) writer.tag(field.number, WireType.Varint).int32(pick(chance, ENUMS));
  else if (field.scalar !== undefined) writeScalar(writer, field.number, field.scalar, chance);
}

function writeMessage(writer: BinaryWriter, number: number, type: DescMessage, chance: Chance, depth: number): void {
  if (depth > MAX_DEPTH) return;
  writer.tag(number, WireType.LengthDelimited).fork();
  writeFields(writer, type, chance, depth);
  writer.join();
}

function writeEntry(writer: BinaryWriter, field: DescField, chance: Chance): void {
  writer.tag(field.number, WireType.LengthDelimited).fork();
  if (chance() < 0.9) writer.tag(1, WireType.LengthDelimited).bytes(textBytes(chance));
  if (chance() < 0.9) writer.tag(2, WireType.LengthDelimited).bytes(textBytes(chance));
  writer.join();
}

function writeScalar(writer: BinaryWriter, number: number, scalar: ScalarType, chance: Chance): void {
  switch (scalar) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      writer.tag(number, WireType.LengthDelimited).bytes(textBytes(chance));
      break;
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      writer.tag(number, WireType.Bit64).fixed64(pick(chance, BIG));
      break;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      writer.tag(number, WireType.Bit32).fixed32(pick(chance, NUMBERS));
      break;
    default:
      writer.tag(number, WireType.Varint).uint64(chance() < 0.7 ? pick(chance, NUMBERS) : pick(chance, BIG));
  }
}

function textBytes(chance: Chance): Uint8Array {
  if (chance() < 0.05) return randomBytes(chance, Math.floor(chance() * 40));
  return Buffer.from(chance() < 0.4 ? pick(chance, IDS) : pick(chance, TEXTS));
}

/** The number of a known field, with a value of another kind. */
function writeOtherKind(writer: BinaryWriter, number: number, chance: Chance): void {
  if (chance() < 0.5) writer.tag(number, WireType.Varint).uint64(pick(chance, BIG));
  else writer.tag(number, WireType.Bit64).fixed64(pick(chance, BIG));
}

/** Fields that nobody knows: groups within groups, a length beyond the end, the highest number. */
function writeUnknown(writer: BinaryWriter, chance: Chance): void {
  const kind = chance();
  if (kind < 0.4) {
    const deep = pick(chance, [1, 50, 5_000]);
    for (let n = 0; n < deep; n++) writer.tag(2_000, WireType.StartGroup);
    if (chance() < 0.5) for (let n = 0; n < deep; n++) writer.tag(2_000, WireType.EndGroup);
  } else if (kind < 0.7) {
    writer.tag(3_000, WireType.LengthDelimited).uint32(pick(chance, [10, 0x7fff_ffff, 0xffff_ffff]));
  } else {
    writer.tag(536_870_911, WireType.LengthDelimited).bytes(randomBytes(chance, 20));
  }
}

/** The bytes with a few of them changed, left out, doubled, or cut off. */
export function damaged(bytes: Uint8Array, chance: Chance): Uint8Array {
  const at = Math.floor(chance() * (bytes.length + 1));
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
  switch (pick(chance, ['flip', 'cut', 'insert', 'leave-out', 'double', 'varint'])) {
    case 'flip': {
      const changed = Uint8Array.from(bytes);
      for (let n = 0; n < 3; n++) changed[Math.floor(chance() * changed.length)] = Math.floor(chance() * 256);
      return changed;
    }
    case 'cut':
      return before;
    case 'insert':
      return Buffer.concat([before, randomBytes(chance, 1 + Math.floor(chance() * 8)), after]);
    case 'leave-out':
      return Buffer.concat([before, after.subarray(1 + Math.floor(chance() * 4))]);
    case 'double':
      return Buffer.concat([before, before, after]);
    default:
      // A number that does not end (protobuf allows ten bytes).
      return Buffer.concat([before, Buffer.alloc(11, 0xff), after]);
  }
}

/** So many bytes of any value. */
export function randomBytes(chance: Chance, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => Math.floor(chance() * 256));
}
