/**
 * What a statement's text tells before it is sent.
 *
 * @since 0.1.0
 */
import { Lexer } from "../../sql/Lexer.js"
import { syntaxes } from "../../sql/Syntax.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Traits {
  /** BEGIN, COMMIT, ROLLBACK, savepoints: never sent within a procedure, which must leave the transaction as it was. */
  readonly control: boolean
  readonly commit: boolean
  /** Undone with its transaction: nothing in it commits, as far as the words say. */
  readonly transactional: boolean
  /** May leave something on the connection that outlives its transaction: a setting, a table, a lock. */
  readonly dirties: boolean
  /** Names a setting that limits statements or waits for locks, and so may set it. */
  readonly limits: boolean
  /** Writes nothing, as far as the words say. */
  readonly reads: boolean
}

/**
 * The words of a text outside of strings, quoted names and comments, in upper case; with `#` for a temporary table's
 * name and `;` for what separates statements.
 */
const wordsOf = (text: string): ReadonlyArray<string> => {
  const words: Array<string> = []
  const lexer = new Lexer(syntaxes.mssql, text)
  while (lexer.nextCode()) {
    const { kind, token } = lexer
    if (kind === "delimiter") words.push(token)
    // A temporary table keeps its sign within quotes.
    else if (token[0] === "#" || (kind === "name" && token[1] === "#")) words.push("#")
    else if (kind === "word") words.push(token.toUpperCase())
  }
  while (words[words.length - 1] === ";") words.pop()
  return words
}

const plain = new Set([
  "SELECT",
  "INSERT",
  "UPDATE",
  "DELETE",
  "MERGE",
  "WITH",
  "CREATE",
  "ALTER",
  "DROP",
  "TRUNCATE",
  "GRANT",
  "DENY",
  "REVOKE",
  "BEGIN",
  "COMMIT",
  "ROLLBACK",
  "SAVE",
  "PRINT",
  "WAITFOR",
  "RAISERROR",
  "THROW",
  "IF",
  "WHILE",
  "KILL"
])

/** Words that may change the session, wherever they stand. */
const lasting = new Set([
  "#",
  "EXEC",
  "EXECUTE",
  "DECLARE",
  "OPEN",
  "CURSOR",
  "USE",
  "DBCC",
  "REVERT",
  "SETUSER",
  "IDENTITY_INSERT",
  "RECONFIGURE"
])

const writing = new Set([
  "INSERT",
  "UPDATE",
  "DELETE",
  "MERGE",
  "INTO",
  "CREATE",
  "ALTER",
  "DROP",
  "TRUNCATE",
  "GRANT",
  "DENY",
  "REVOKE",
  "EXEC",
  "EXECUTE",
  "BULK",
  "BACKUP",
  "RESTORE",
  "DBCC",
  "KILL",
  "SHUTDOWN",
  "RECONFIGURE",
  "WRITETEXT",
  "UPDATETEXT",
  "OPENROWSET",
  "OPENQUERY",
  "OPENDATASOURCE"
])

/** How a text without writes may begin. Anything else at the start of a batch is the name of a procedure. */
const readers = new Set([
  "SELECT",
  "WITH",
  "SET",
  "DECLARE",
  "BEGIN",
  "COMMIT",
  "ROLLBACK",
  "SAVE",
  "IF",
  "WHILE",
  "PRINT",
  "WAITFOR",
  "RAISERROR",
  "THROW",
  "USE"
])

const count = (words: ReadonlyArray<string>, word: string): number => words.filter((one) => one === word).length

/**
 * Whether a text takes a lock by name, which its session holds until it releases it.
 *
 * @since 0.1.0
 * @category getters
 */
export const takesLock = (text: string): boolean => /\bsp_getapplock\b[^;]*'session'/i.test(text)

/**
 * Looks at a text. Cautious where it cannot know: what it does not recognise is taken to write and to leave something
 * behind. What a procedure or trigger does is not in the text.
 *
 * @since 0.1.0
 * @category getters
 */
export const traitsOf = (text: string): Traits => {
  const words = wordsOf(text)
  const first = words[0] ?? ""
  const second = words[1] ?? ""
  const transaction = second === "TRAN" || second === "TRANSACTION"
  // An isolation level in front of a BEGIN is ours.
  const begins = first === "SET" && words[1] === "TRANSACTION" && words[2] === "ISOLATION" && words.includes("BEGIN") &&
    words.includes(";")
  const control = begins || first === "COMMIT" || first === "ROLLBACK" ||
    ((first === "BEGIN" || first === "SAVE") && transaction)
  // The SET of an UPDATE belongs to it; any other is a setting.
  const settings = count(words, "SET") > count(words, "UPDATE")
  return {
    control,
    commit: first === "COMMIT" && !words.includes(";"),
    transactional: (plain.has(first) || readers.has(first)) &&
      !words.some((word) => word === "COMMIT" || word === "EXEC" || word === "EXECUTE"),
    dirties: !plain.has(first) || settings || words.some((word) => lasting.has(word)),
    limits: words.includes("LOCK_TIMEOUT"),
    reads: (readers.has(first) || first === "") && !words.some((word) => writing.has(word))
  }
}

/** What a word that begins a statement leaves behind, in words. */
const left: Readonly<Record<string, string>> = { SET: "SET", USE: "USE", SETUSER: "SETUSER" }

/**
 * What the last statement of a text leaves in its session for statements to come, in words. Statements are told apart by
 * their semicolons only.
 *
 * @since 0.1.0
 * @category getters
 */
export const leftBehind = (text: string): string | undefined => {
  const words = wordsOf(text)
  const last = words.slice(words.lastIndexOf(";") + 1)
  const [first = "", second = ""] = last
  const declared = words.includes("DECLARE")
  if (
    (first === "CREATE" && second === "TABLE" && last[2] === "#") ||
    last.some((word, i) =>
      word === "INTO" && last[i + 1] === "#" && last.includes("SELECT") && first !== "INSERT" && first !== "MERGE"
    )
  ) {
    return "a temporary table"
  }
  if ((first === "EXEC" || first === "EXECUTE") && second === "AS") return "EXECUTE AS"
  if (last.some((word) => word === "SP_SET_SESSION_CONTEXT")) return "a value of the session"
  if (takesLock(text) && last.some((word) => word === "SP_GETAPPLOCK")) return "a lock by name"
  // `SET @x` is of its text, in which the variable was declared.
  if (first === "SET" && (declared || second.startsWith("@"))) return undefined
  return Object.hasOwn(left, first) ? left[first] : undefined
}
