/**
 * How a file is put into the transaction that it shares with its history row: what has to run before BEGIN, and what the
 * file says of transactions itself.
 */
import type { Dialect } from "@effect/sql/Statement"
import { controlOf } from "../sql/classify.js"
import { foreignKeysOf, runsBeforeBegin } from "./pragma.js"
import type { Statement } from "./Statement.js"
import { SplitFault } from "./Statement.js"

/**
 * What becomes of a statement: it runs in the transaction, before it, or not at all, because the transaction does what it
 * says.
 */
export type Place = "inside" | "before" | "nowhere"

/** A BEGIN and a COMMIT that ask for nothing but a transaction. */
const bare =
  /^(?:(?:BEGIN|COMMIT|END)(?: TRANSACTION| WORK)?|START TRANSACTION|BEGIN (?:IMMEDIATE|EXCLUSIVE|DEFERRED)\b.*)$/

/** Statements that begin or end a transaction, other than savepoints. */
const controls = ({ words }: Statement): "begin" | "commit" | "other" | undefined => {
  const kind = controlOf(words)
  if (kind === undefined || kind === "savepoint" || kind === "isolation") return undefined
  return (kind === "begin" || kind === "commit") && bare.test(words.join(" ")) ? kind : "other"
}

/** A transaction that is begun with an isolation level, which SET TRANSACTION gives as well. */
const isIsolated = ({ words }: Statement): boolean => /^(?:BEGIN|START) .*\bISOLATION\b/.test(words.join(" "))

/** MySQL's switch of transactions that begin by themselves, in a statement of its own. */
const autocommit =
  /^(?:\/\*M?!\d*\s*)?set\s+(?:(?:session|local)\s+|@@(?:(?:session|local)\s*\.\s*)?)?`?autocommit`?\s*:?=\s*['"]?(\w+)['"]?\s*(?:\*\/)?$/i

/** MySQL's DDL commits what stands before it: only files of these words can be one transaction there. */
const mysqlTransactional = new Set(["INSERT", "UPDATE", "DELETE", "REPLACE", "SELECT", "WITH", "SET", "VALUES"])

/**
 * What begins with SET and may commit: SET PASSWORD, SET DEFAULT ROLE, SET STATEMENT ... FOR any other, and autocommit
 * among other variables.
 */
const commitsBySet = ({ text, words }: Statement): boolean =>
  words[0] === "SET" &&
  (["PASSWORD", "DEFAULT", "STATEMENT"].includes(words[1] ?? "") ||
    /\bautocommit\b/i.test(text) && !autocommit.test(text))

/** Whether a file of MySQL can be one transaction. */
export const isTransactionalOnMysql = (statements: ReadonlyArray<Statement>): boolean =>
  statements.every((statement) =>
    mysqlTransactional.has(statement.words[0] ?? "") && !commitsBySet(statement) ||
    ["begin", "commit"].includes(controls(statement) ?? "")
  )

/** Statements of SQLite that do something else where foreign keys are checked. */
const dependsOnForeignKeys = ({ words }: Statement): boolean =>
  ["INSERT", "UPDATE", "DELETE", "REPLACE", "WITH", "ALTER"].includes(words[0] ?? "") ||
  (words[0] === "DROP" && words[1] === "TABLE")

/**
 * How foreign keys stand while a file runs, and whether its end is to be checked. SQLite's pragma does nothing in a
 * transaction, so that one value has to hold for the whole file: "off" where any part asks for it. What that lets pass
 * where the file wants them on is found by the check at the end.
 */
export interface ForeignKeys {
  readonly on: boolean
  /** Rows without their parent are looked for before COMMIT. */
  readonly checked: boolean
}

/**
 * Looks at a file, or at the beginning of one that is too large, for what it does with foreign keys. `undefined` where
 * they stay as they are.
 */
export const foreignKeysIn = (
  statements: ReadonlyArray<Statement>,
  isInitial: boolean,
  isWhole: boolean
): ForeignKeys | undefined => {
  let isWanted = isInitial
  let isAssigned = false
  const asked = new Set<boolean>()
  for (const statement of statements) {
    const isOn = foreignKeysOf(statement.text)
    if (isOn !== undefined) {
      isWanted = isOn
      isAssigned = true
    } else if (dependsOnForeignKeys(statement)) {
      asked.add(isWanted)
    }
  }
  if (!isWhole) {
    asked.add(isWanted)
  }
  if (!isAssigned || asked.size === 0) {
    return undefined
  }
  const isOn = !asked.has(false)
  return { on: isOn, checked: !isOn && (isInitial || asked.has(true)) }
}

/** The beginning of a file that has to be known before BEGIN: pragmas, and the file's own BEGIN. */
export const isBeginning = (statement: Statement): boolean =>
  statement.words[0] === "PRAGMA" || controls(statement) === "begin"

/** Follows a file through its transaction. Its methods throw a {@link SplitFault}. */
export class Arrangement {
  private begun: Statement | undefined = undefined
  private hasEnded = false
  private isSwitchedOff = false

  constructor(
    private readonly dialect: Dialect,
    private readonly directive: string,
    /** How foreign keys stand in the transaction, for SQLite. */
    private readonly hasForeignKeys: boolean,
    /** Whether all of the file was looked at. */
    private readonly isWhole: boolean
  ) {}

  /** The place of the next statement. */
  place(statement: Statement): Place {
    if (this.dialect === "sqlite" && statement.words[0] === "PRAGMA") {
      return this.pragma(statement)
    }
    if (this.dialect === "mysql") {
      const value = autocommit.exec(statement.text)?.[1]
      if (value !== undefined) {
        this.isSwitchedOff = /^(?:0|off|false)$/i.test(value)
        return "nowhere"
      }
    }
    // SQL Server counts BEGIN TRANSACTION and COMMIT in pairs, and its batches begin with BEGIN ... END blocks.
    const control = this.dialect === "mssql" ? undefined : controls(statement)
    if (control === undefined) {
      return "inside"
    }
    if (control === "begin" && this.begun === undefined && (!this.hasEnded || this.isSwitchedOff)) {
      this.begun = statement
      return "nowhere"
    }
    if (control === "commit" && (this.begun !== undefined || this.isSwitchedOff)) {
      this.begun = undefined
      this.hasEnded = true
      return "nowhere"
    }
    throw new SplitFault(
      `${statement.words[0]} would end the transaction in which the migration and its history row are written together`,
      statement.line,
      statement.column,
      `${
        isIsolated(statement)
          ? "write BEGIN alone and, as the first statement behind it, SET TRANSACTION ISOLATION LEVEL ..."
          : "remove it"
      } (each migration runs in a transaction of its own; one BEGIN and one COMMIT around a file are taken for ` +
        `that), or put "-- dblive: ${this.directive}" at the beginning of the file`
    )
  }

  private pragma(statement: Statement): Place {
    const isOn = foreignKeysOf(statement.text)
    if (isOn === undefined) {
      return runsBeforeBegin(statement.text) ? "before" : "inside"
    }
    // In a file that was looked at nothing depends on one that was not taken up.
    if (isOn || !this.hasForeignKeys || this.isWhole) {
      return "nowhere"
    }
    throw new SplitFault(
      "PRAGMA foreign_keys does nothing within a transaction",
      statement.line,
      statement.column,
      "put it before the first statement of the file"
    )
  }

  /** The file has ended. */
  end(): void {
    if (this.begun !== undefined) {
      throw new SplitFault(
        `the transaction that ${this.begun.words[0]} begins is never committed: the end of the file is missing`,
        this.begun.line,
        this.begun.column,
        "add the COMMIT, or remove the BEGIN"
      )
    }
  }
}
