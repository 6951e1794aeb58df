/**
 * What the comments of a statement say: its kind, and what is to be taken in place of the database's word.
 *
 *     -- :one                  its kind, where it has no line `-- name:`
 *     -- :since Date           the type of a parameter
 *     -- @nullable email, :q   columns, or parameters, that may be NULL
 *     -- @notNull total        columns that are never NULL
 *     -- @type tags string[]   the type of a column
 */
import { nearest } from "../config/nearest.js"
import { type Kind, kinds, type Override } from "./model.js"

/** A line comment, without its mark. */
export interface Comment {
  readonly text: string
  readonly line: number
  /** Whether it stands before the statement. */
  readonly isAhead: boolean
}

/** What is wrong with a comment. */
export interface Fault {
  readonly line: number
  readonly message: string
}

/** What all comments of a statement say. */
export interface Directives {
  readonly kind: Kind | undefined
  readonly parameters: ReadonlyMap<string, Override>
  readonly columns: ReadonlyMap<string, Override>
  readonly about: ReadonlyArray<string>
  readonly faults: ReadonlyArray<Fault>
}

/** A word in place of a type: what the drivers read, and what they take. */
const words: Readonly<Record<string, { readonly read: string; readonly written: string }>> = {
  text: { read: "string", written: "string" },
  integer: { read: "number", written: "number | bigint" },
  decimal: { read: "string", written: "string | number | bigint" },
  date: { read: "Date", written: "Date | string" },
  bytes: { read: "Buffer", written: "Uint8Array | ArrayBuffer" },
  json: { read: "unknown", written: "Param" }
}

const closers: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}", "<": ">" }

/** Whether a character of a type opens, closes or leaves open what was opened, as it may. */
const follows = (char: string, open: Array<string>): boolean => {
  const closer = closers[char]
  if (closer !== undefined) return open.push(closer) > 0
  return ")]}>".includes(char) ? open.pop() === char : !"\"'`\\".includes(char) && (char !== ";" || open.length > 0)
}

/** Whether a type ends where its line does: it is written into a file of TypeScript. */
const isClosed = (type: string): boolean => {
  const open: Array<string> = []
  // Strings may hold anything; an arrow closes nothing.
  const code = type.replace(/"[^"\\]*"|'[^'\\]*'/g, "").replaceAll("=>", "")
  return [...code].every((char) => follows(char, open)) && open.length === 0 && !/\/[/*]/.test(code)
}

const instructions = ["nullable", "notNull", "type"]

class Reader {
  kind: Kind | undefined = undefined
  readonly parameters = new Map<string, Override>()
  readonly columns = new Map<string, Override>()
  readonly about: Array<string> = []
  readonly faults: Array<Fault> = []

  read({ isAhead, line, text }: Comment): void {
    const parameter = /^:([\p{L}_][\p{L}\p{N}_]*)(?:\s+(.+))?$/u.exec(text)
    const instruction = /^@([A-Za-z]+)(?:\s+(.+))?$/.exec(text)
    if (parameter !== null) this.parameter(parameter[1]!, parameter[2], line)
    else if (instruction !== null) this.instruction(instruction[1]!, instruction[2], line)
    else if (isAhead) this.about.push(text)
  }

  private fault(line: number, message: string): void {
    this.faults.push({ line, message })
  }

  private parameter(name: string, type: string | undefined, line: number): void {
    const kind = kinds.find((kind) => kind === name)
    if (type !== undefined) this.put(this.parameters, name, { line, type: this.type(type, "written", line) })
    else if (kind !== undefined) this.kind = kind
    else this.fault(line, `"-- :${name}" says no type: write -- :${name} string, or one of :${kinds.join(", :")}`)
  }

  private instruction(word: string, rest: string | undefined, line: number): void {
    if (!instructions.includes(word)) {
      const near = nearest(word, instructions)
      return this.fault(
        line,
        `"-- @${word}" is not known` +
          (near === undefined ? `: there are @${instructions.join(", @")}` : `; is "@${near}" meant?`)
      )
    }
    if (rest === undefined) return this.fault(line, `"-- @${word}" names no column`)
    if (word === "type") {
      const match = /^("[^"]+"|\S+)\s+(.+)$/.exec(rest)
      if (match === null) return this.fault(line, `"-- @type" takes a column and its type: -- @type tags string[]`)
      return this.put(this.columns, unquoted(match[1]!), { line, type: this.type(match[2]!, "read", line) })
    }
    for (const part of rest.split(",").map((part) => part.trim()).filter((part) => part !== "")) {
      const isNullable = word === "nullable"
      if (!part.startsWith(":")) this.put(this.columns, unquoted(part), { line, nullable: isNullable })
      else this.put(this.parameters, part.slice(1), { line, nullable: isNullable })
    }
  }

  private put(map: Map<string, Override>, name: string, override: Override): void {
    map.set(name, { ...map.get(name), ...override })
  }

  private type(text: string, way: "read" | "written", line: number): string | undefined {
    const type = text.trim()
    if (Object.hasOwn(words, type)) return words[type]![way]
    if (isClosed(type)) return type
    this.fault(line, `"${type}" is no type of TypeScript that ends in this line`)
    return undefined
  }
}

const unquoted = (name: string): string => /^".*"$/.test(name) ? name.slice(1, -1) : name

/** Reads the comments of one statement. */
export const readDirectives = (comments: ReadonlyArray<Comment>): Directives => {
  const reader = new Reader()
  for (const comment of comments) reader.read({ ...comment, text: comment.text.trim() })
  return reader
}
