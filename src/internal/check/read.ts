/**
 * The statements of one file: the only one, or one behind each line `-- name: findUser :one`.
 */
import type { Dialect } from "@effect/sql/Statement"
import { Splitter } from "../migrator/Splitter.js"
import { Position, SplitFault } from "../migrator/Statement.js"
import { Lexer } from "../sql/Lexer.js"
import { syntaxes } from "../sql/Syntax.js"
import { type Comment, readDirectives } from "./directives.js"
import { type CheckProblem, type Kind, kinds, type Statement } from "./model.js"
import { isName, toName } from "./names.js"

/** A file. */
export interface Source {
  /** The path from the project's root, with `/`. */
  readonly file: string
  readonly text: string
  /** The name of its statement where it has no `-- name:`. */
  readonly name: string
  readonly isFunction: boolean
}

/** What a file holds. */
export interface Read {
  readonly statements: ReadonlyArray<Statement>
  readonly problems: ReadonlyArray<CheckProblem>
}

/** A piece of a file that holds one statement. */
interface Block {
  readonly name: string
  readonly kind: Kind | undefined
  readonly line: number
  readonly text: string
}

interface Mark {
  readonly at: number
  readonly end: number
  readonly text: string
}

const namePattern = /^name\s*:/i

/** The line comments `-- name: ...`, wherever no string or quoted name is. */
const marksOf = (text: string, dialect: Dialect): ReadonlyArray<Mark> => {
  const marks: Array<Mark> = []
  const lexer = new Lexer({ ...syntaxes[dialect], file: true }, text)
  while (lexer.next()) {
    const { at, start, token } = lexer
    if (lexer.kind !== "comment" || !token.startsWith("--")) continue
    const comment = token.slice(2).trim()
    if (namePattern.test(comment)) marks.push({ at: start, end: at, text: comment })
  }
  return marks
}

const lineAt = (text: string, index: number): number => new Position().advance(text, 0, index).place.line

/** `findUser :one`, or what is wrong with it. */
const readMark = (text: string): { readonly name: string; readonly kind: Kind | undefined } | string => {
  const match = /^name\s*:\s*([^\s:]+)\s*(?::(\S*))?\s*$/i.exec(text)
  if (match === null) return `"-- ${text}" names no statement: write -- name: findUser :one`
  const name = toName(match[1]!)
  const kind = kinds.find((kind) => kind === match[2])
  return !isName(name)
    ? `"${match[1]}" cannot be the name of a function`
    : match[2] !== undefined && kind === undefined
    ? `":${match[2]}" is no kind of statement: there are :${kinds.join(", :")}`
    : { name, kind }
}

class Reader {
  readonly statements: Array<Statement> = []
  readonly problems: Array<CheckProblem> = []
  private readonly text: string

  constructor(private readonly source: Source, private readonly dialect: Dialect) {
    this.text = source.text.replace(/^\ufeff/, "")
  }

  read(): Read {
    const { dialect, source, text } = this
    const marks = marksOf(text, dialect)
    const [first] = marks
    if (first === undefined) {
      if (isName(source.name)) this.block({ name: source.name, kind: undefined, line: 1, text })
      else this.fault(1, `the file's name makes "${source.name}", which cannot be the name of a function`)
      return this
    }
    this.unnamed(text.slice(0, first.at))
    marks.forEach((mark, i) => {
      const line = lineAt(text, mark.at)
      const named = readMark(mark.text)
      if (typeof named === "string") this.fault(line, named)
      else this.block({ ...named, line, text: text.slice(mark.end, marks[i + 1]?.at) })
    })
    return this
  }

  private fault(line: number, message: string, name?: string): void {
    this.problems.push({ file: this.source.file, line, name, message })
  }

  /** The statements of a piece, or `undefined` where it cannot be read. */
  private split(text: string, line: number, name: string | undefined, onComment: (comment: Comment) => void) {
    try {
      const splitter = new Splitter(
        this.dialect,
        (comment, place, isBehind) => onComment({ text: comment, line: line + place.line - 1, isAhead: !isBehind })
      )
      return [...splitter.push(text), ...splitter.end()]
    } catch (cause) {
      if (!(cause instanceof SplitFault)) throw cause
      this.fault(line + cause.line - 1, cause.message, name)
      return undefined
    }
  }

  /** What stands before the first name. */
  private unnamed(text: string): void {
    const [statement] = this.split(text, 1, undefined, () => {}) ?? []
    if (statement !== undefined) {
      this.fault(statement.line, "this statement has no name: write -- name: findUser :one before it")
    }
  }

  private block({ kind, line, name, text }: Block): void {
    const comments: Array<Comment> = []
    const found = this.split(text, line, name, (comment) => comments.push(comment))
    if (found === undefined) return
    const directives = readDirectives(comments)
    for (const { line, message } of directives.faults) this.fault(line, message, name)
    const [statement, second] = found
    if (statement === undefined) return this.fault(line, "there is no statement", name)
    if (second !== undefined) {
      return this.fault(
        line + second.line - 1,
        "this is a second statement: write -- name: findUser :one before each, or each into a file of its own",
        name
      )
    }
    const { file, isFunction } = this.source
    this.statements.push({
      name,
      kind: kind ?? directives.kind,
      file,
      line: line + statement.line - 1,
      // A checkout may have changed the ends of lines.
      text: statement.text.replaceAll("\r\n", "\n"),
      parameters: directives.parameters,
      columns: directives.columns,
      about: directives.about.filter((text) => text !== ""),
      isFunction
    })
  }
}

/** Reads the statements of a file. */
export const read = (source: Source, dialect: Dialect): Read => new Reader(source, dialect).read()
