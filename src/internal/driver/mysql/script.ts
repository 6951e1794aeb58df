/**
 * A text of several statements, cut where the server would cut it. A prepared statement is a single one in this protocol, so
 * a text with parameters is sent statement by statement, each with its own: no value becomes part of a text.
 */
import { executable, memoized } from "../../sql/classify.js"
import { Lexer } from "../../sql/Lexer.js"
import { syntaxes } from "../../sql/Syntax.js"
import { commitsImplicitly, lastingOf, type Traits, traitsOf } from "./texts.js"

/** What the server's `sql_mode` makes of a text. */
export interface Reading {
  /** A backslash escapes in strings: not under `NO_BACKSLASH_ESCAPES`. */
  readonly backslash: boolean
  /** `"` quotes names, in which nothing escapes: `ANSI_QUOTES`. */
  readonly ansiQuotes: boolean
}

/** A statement of a text. */
export interface Part {
  readonly text: string
  /** How many `?` outside of strings, names and comments. */
  readonly placeholders: number
}

/** The statements of a text, and what they do together. */
export interface Script {
  readonly parts: ReadonlyArray<Part>
  readonly placeholders: number
  readonly traits: Traits
}

/** What the server takes for code, as it does what is in such a comment, must not hide an end or a placeholder from us. */
const hides = /[;?'"`]/
/** A stored program, or a compound statement of MariaDB: its semicolons are its own, to the end of the text. */
const program =
  /(?:create\s+(?:or\s+replace\s+)?(?:definer\s*=\s*\S+(?:\s*@\s*\S+)?\s+)?(?:aggregate\s+)?(?:procedure|function|trigger|event|package)|(?:\w+\s*:\s*)?(?:begin\s+not\s+atomic|if|case|loop|while|repeat|for|declare)|delimiter)\b/iy

/**
 * The statements of a text under one reading, apart from `statementsOf`: it counts placeholders, keeps programs whole, and reads
 * as the server's mode has it. `undefined` where a comment that the server may run hides their ends.
 */
export const partsOf = (
  text: string,
  { ansiQuotes: hasAnsiQuotes, backslash: hasBackslash }: Reading
): ReadonlyArray<Part> | undefined => {
  const lexer = new Lexer({
    ...syntaxes.mysql,
    backslash: hasBackslash ? "always" : "never",
    doubleQuotedStrings: !hasAnsiQuotes
  }, text)
  const parts: Array<Part> = []
  let from = 0
  let placeholders = 0
  let hasCode = false
  let isProgram = false
  const end = (at: number): void => {
    if (hasCode) parts.push({ text: text.slice(from, at).trim(), placeholders })
    from = at + 1
    placeholders = 0
    hasCode = false
  }
  while (lexer.next()) {
    const { kind, start } = lexer
    if (kind === "comment") {
      if (!executable.test(lexer.token)) continue
      if (hides.test(lexer.token)) return undefined
      hasCode = true
    } else if (kind === "delimiter" && !isProgram) {
      end(start)
    } else if (kind !== "space") {
      if (!hasCode) {
        program.lastIndex = start
        isProgram = program.test(text)
        hasCode = true
      }
      if (kind === "parameter") placeholders++
    }
  }
  end(text.length)
  return parts
}

const together = (parts: ReadonlyArray<Part>): Traits => {
  const each = parts.map((part) => traitsOf(part.text))
  return {
    control: false,
    commit: false,
    boundary: each.some((traits) => traits.boundary),
    takesLock: each.some((traits) => traits.takesLock),
    releasesLocks: each.some((traits) => traits.releasesLocks),
    several: true,
    transactional: each.every((traits) => traits.transactional),
    runsProgram: each.some((traits) => traits.runsProgram),
    dirties: each.some((traits) => traits.dirties),
    limits: each.some((traits) => traits.limits)
  }
}

const scriptOf = (parts: ReadonlyArray<Part> | undefined): Script | undefined =>
  parts === undefined ? undefined : {
    parts,
    placeholders: parts.reduce((sum, part) => sum + part.placeholders, 0),
    traits: together(parts)
  }

const readings: ReadonlyArray<Reading> = [
  { backslash: true, ansiQuotes: false },
  { backslash: true, ansiQuotes: true },
  { backslash: false, ansiQuotes: false }
]

const sameParts = (a: ReadonlyArray<Part> | undefined, b: ReadonlyArray<Part> | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && a.length === b.length &&
    a.every((part, i) => part.text === b[i]!.text && part.placeholders === b[i]!.placeholders))

/**
 * The statements of a text: `undefined` where they cannot be told apart, `"by mode"` where that depends on the `sql_mode` in
 * force, as only a backslash in quotes makes it.
 */
export const read: (text: string) => Script | undefined | "by mode" = memoized((text) => {
  const [usual, ...others] = text.includes("\\") ? readings : readings.slice(0, 1)
  const parts = partsOf(text, usual!)
  return others.every((reading) => sameParts(parts, partsOf(text, reading))) ? scriptOf(parts) : "by mode"
}, 20_000)

/** The statements of a text under the server's `sql_mode`. One that changes the mode on its way cannot be read. */
export const readUnder = (text: string, sqlMode: string): Script | undefined => {
  if (/sql_mode/i.test(text)) return undefined
  const modes = sqlMode.toUpperCase().split(",")
  return scriptOf(partsOf(text, {
    backslash: !modes.includes("NO_BACKSLASH_ESCAPES"),
    ansiQuotes: modes.includes("ANSI_QUOTES")
  }))
}

/**
 * Which statements of a text commit by themselves what stands before them. What cannot be told apart is said not to.
 */
export const implicitCommits = (text: string): "all" | "some" | "none" => {
  if (!traitsOf(text).several) return commitsImplicitly(text) ? "all" : "none"
  const script = read(text)
  if (script === undefined || script === "by mode") return "none"
  const committing = script.parts.filter((part) => commitsImplicitly(part.text)).length
  return committing === 0 ? "none" : committing === script.parts.length ? "all" : "some"
}

/**
 * What the last statement of a text leaves in its session, in words. What cannot be told apart is said to leave nothing.
 */
export const leftBehind = (text: string): string | undefined => {
  if (!traitsOf(text).several) return lastingOf(text)
  const script = read(text)
  const last = script === undefined || script === "by mode" ? undefined : script.parts.at(-1)
  return last === undefined ? undefined : lastingOf(last.text)
}
