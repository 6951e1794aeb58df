/**
 * A number of JSON with all its digits.
 */

// Node 20 has no `JSON.rawJSON`, and the ES2023 library of TypeScript does not know it.
const { rawJSON } = JSON as { readonly rawJSON?: (text: string) => unknown }

/**
 * A number that a double cannot hold (an integer beyond 2^53, a long decimal, `1e400`). As an operand it is the nearest double, as a
 * text it is its digits, and it is written back as it was read.
 */
export class JsonNumber extends Number {
  /** How many have been asked for their JSON: tells whether a value that was made JSON of had one in it. */
  static asked = 0

  /** @param digits a number in the grammar of JSON */
  constructor(readonly digits: string) {
    super(digits)
  }

  override toString(): string {
    return this.digits
  }

  /** The number with its digits where `JSON.rawJSON` exists (Node 22 and later), else the digits as a text. */
  toJSON(): unknown {
    JsonNumber.asked++
    return rawJSON === undefined ? this.digits : rawJSON(this.digits)
  }
}
