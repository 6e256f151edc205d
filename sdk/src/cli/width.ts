// How much room a text takes on a terminal, which counts columns, as JavaScript does not.

const PRINTABLE_ASCII = /^[ -~]*$/;
const MARK_ALONE = /^\p{M}/u;
// East Asian Wide and Fullwidth (UAX 11), in whole blocks, and what is shown as an emoji.
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}|\ufe0f/u;

const graphemes = new Intl.Segmenter('und', { granularity: 'grapheme' });

/** The columns that a text takes. */
export function widthOf(text: string): number {
  if (PRINTABLE_ASCII.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += WIDE.test(segment) ? 2 : MARK_ALONE.test(segment) ? 0 : 1;
  return width;
}
