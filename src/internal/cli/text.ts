/**
 * Rows as text: aligned columns, CSV, JSON.
 */

import { type Look, onOutput } from "./style.js"

/** A cell as text. What JSON has no word for is written as the database would write it. */
export const cell = (value: unknown): string => {
  if (value === null || value === undefined) {
    return ""
  }
  if (value instanceof Date) {
    return Number.isNaN(value.getTime()) ? "" : value.toISOString()
  }
  if (value instanceof Uint8Array) {
    return `\\x${Buffer.from(value).toString("hex")}`
  }
  return typeof value === "object" ? toJson(value, 0) : String(value)
}

/** JSON in which big integers keep their digits and bytes are hexadecimal. */
export const toJson = (value: unknown, indent = 2): string =>
  JSON.stringify(
    value,
    // What `part` is of a Buffer has gone through its `toJSON`: the holder has the Buffer itself.
    function(this: Readonly<Record<string, unknown>>, key, part: unknown) {
      const own = this[key]
      return typeof part === "bigint" ? part.toString() : own instanceof Uint8Array ? cell(own) : part
    },
    indent
  )

/** Control characters would move the cursor or change what was printed before. */
const visible = (text: string): string =>
  text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (char) =>
    char === "\n"
      ? "\\n"
      : char === "\r"
      ? "\\r"
      : char === "\t"
      ? "\\t"
      : `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`)

/** Columns a character takes in a terminal: two for East Asian and emoji, none for what is put over another. */
const width = (text: string): number => {
  let columns = 0
  for (const char of text) {
    const code = char.codePointAt(0)!
    columns += /\p{Mn}|\p{Me}|\u200d|\ufe0f/u.test(char)
      ? 0
      : code > 0x1100 &&
          /\p{Script=Han}|\p{Script=Hangul}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Emoji_Presentation}/u.test(char)
      ? 2
      : 1
  }
  return columns
}

/** Aligned columns under a line of headings; `look` gives what a cell is to look like, by its column's heading. */
export const table = (
  headings: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<unknown>>,
  look: (heading: string, text: string) => Look | undefined = () => undefined
): string => {
  const cells = rows.map((row) => headings.map((_, i) => visible(cell(row[i]))))
  const widths = headings.map((heading, i) =>
    cells.reduce((most, row) => Math.max(most, width(row[i]!)), width(heading))
  )
  const last = (row: ReadonlyArray<string>) => row.findLastIndex((text) => text !== "")
  const line = (paint: (text: string, column: number) => string) => (row: ReadonlyArray<string>) =>
    row.slice(0, last(row) + 1).map((text, i) =>
      paint(text, i) + (i === last(row) ? "" : " ".repeat(Math.max(0, widths[i]! - width(text))))
    ).join("  ")
  return [
    line((text) => onOutput("heading", text))(headings),
    onOutput("faint", widths.map((columns) => "-".repeat(columns)).join("  ")),
    ...cells.map(line((text, i) => onOutput(look(headings[i]!, text), text)))
  ].join("\n")
}

const quoted = (text: string): string => /[",\r\n]/.test(text) ? `"${text.replaceAll("\"", "\"\"")}"` : text

/** CSV of RFC 4180. NULL is an empty field, an empty text a quoted one. */
export const csv = (headings: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<unknown>>): string =>
  [headings.map(quoted), ...rows.map((row) => headings.map((_, i) => row[i] === "" ? "\"\"" : quoted(cell(row[i]))))]
    .map((row) => row.join(","))
    .join("\r\n")

/** A length of time, to be read. */
export const elapsed = (millis: number): string =>
  millis < 1_000
    ? `${Math.round(millis)} ms`
    : millis < 60_000
    ? `${(millis / 1000).toFixed(1)} s`
    : `${Math.floor(millis / 60_000)} min ${Math.floor((millis % 60_000) / 1000)} s`

/** Takes colours out of a text of others. */
export const withoutColours = (text: string): string => text.replace(/\u001b\[[0-9;]*m/g, "")
