/**
 * What a migration's name says: `V1_2__Add_users.sql` is version 1.2, "Add users"; `U1_2__...` undoes it;
 * `R__Views.sql` is repeated whenever it changes.
 */

/**
 * - `versioned` (`V`): runs once, in the order of versions.
 * - `undo` (`U`): takes back the versioned one of the same version.
 * - `repeatable` (`R`): runs again whenever its checksum changes, after the versioned ones, in the order of names.
 */
export type Kind = "versioned" | "undo" | "repeatable"

/** A parsed name. */
export interface Name {
  readonly kind: Kind
  /** With dots, as it stands in the file's name (`001.2`). `undefined` for repeatable ones. */
  readonly version: string | undefined
  readonly description: string
}

/** Columns of the history table end here; a longer name could not be recorded. */
const limits = { version: 50, description: 200, script: 1000 }

const pattern = /^(?:([VU])(\d+(?:[._]\d+)*)|(R))__(.+)$/s

/**
 * Parses a name without its extension and folder. Gives a sentence that says what is wrong where it is no migration's
 * name.
 */
export const parse = (name: string): Name | string => {
  const match = pattern.exec(name)
  if (match === null) {
    return `"${name}" is not a migration's name: expected V<version>__<description>, U<version>__<description> or ` +
      `R__<description>, such as V001__Create_users or V1_2__Add_email (two underscores before the description)`
  }
  const version = match[2]?.replaceAll("_", ".")
  const description = match[4]!.replaceAll("_", " ").trim()
  if (description === "") {
    return `"${name}" has no description after the two underscores`
  }
  if (version !== undefined && version.length > limits.version) {
    return `the version of "${name}" is longer than ${limits.version} characters`
  }
  if (description.length > limits.description) {
    return `the description of "${name}" is longer than ${limits.description} characters`
  }
  return { kind: match[1] === "V" ? "versioned" : match[1] === "U" ? "undo" : "repeatable", version, description }
}

/** Whether a file's path is too long to be recorded in the history. */
export const isScriptTooLong = (script: string): boolean => script.length > limits.script

const withoutZeros = (digits: string): string => digits.replace(/^0+(?=\d)/, "")

/** Compares two versions by their numbers, of any length: `1.2 < 1.10`, `1 = 1.0 = 001`. */
export const compareVersions = (a: string, b: string): -1 | 0 | 1 => {
  const as = a.split(/[._]/)
  const bs = b.split(/[._]/)
  for (let i = 0; i < Math.max(as.length, bs.length); i++) {
    const x = withoutZeros(as[i] ?? "0")
    const y = withoutZeros(bs[i] ?? "0")
    if (x !== y) {
      // Numbers without leading zeros: the longer one is the greater, equal lengths compare as text.
      return x.length !== y.length ? (x.length < y.length ? -1 : 1) : x < y ? -1 : 1
    }
  }
  return 0
}

/** One text per version, equal for equal versions: `001.0` and `1` both give `1`. */
export const versionKey = (version: string): string => {
  const parts = version.split(/[._]/).map(withoutZeros)
  while (parts.length > 1 && parts[parts.length - 1] === "0") {
    parts.pop()
  }
  return parts.join(".")
}

/** Whether a text is a version: numbers joined by dots or underscores. */
export const isVersion = (text: string): boolean => /^\d+(?:[._]\d+)*$/.test(text) && text.length <= limits.version

/** The version after the highest of `versions`: its first number and one, as wide as the widest (at least 3 digits). */
export const nextVersion = (versions: ReadonlyArray<string>): string => {
  let highest = 0n
  let width = 3
  for (const version of versions) {
    const first = version.split(/[._]/)[0]!
    width = Math.max(width, first.length)
    const number = BigInt(first)
    if (number > highest) {
      highest = number
    }
  }
  return String(highest + 1n).padStart(width, "0")
}
