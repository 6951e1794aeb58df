/**
 * Batches and their statements. What is not listed here is a syntax error (102, 156) where SQL Server would say so too,
 * and error 49000 where it would not.
 *
 * Exports: `parseBatch`.
 */
import type { IsolationLevel } from "../requests.js"
import { TsqlError, unsupported } from "../types.js"
import type { ColumnDefinition, ConstraintDefinition, Expression, SelectItem, Statement } from "./ast.js"
import { Cursor } from "./cursor.js"
import { tokenize } from "./lexer.js"
import { parseExpression, parsePredicate, parseQuery, parseSelectItems, parseSource } from "./queryParser.js"

/** The statements of a batch. */
export const parseBatch = (text: string): ReadonlyArray<Statement> => {
  const c = new Cursor(tokenize(text), text)
  const statements: Array<Statement> = []
  for (;;) {
    while (c.symbol(";"));
    if (c.token.kind === "end") return statements
    statements.push(parseStatement(c))
  }
}

const block = (c: Cursor, ...end: ReadonlyArray<string>): ReadonlyArray<Statement> => {
  const body: Array<Statement> = []
  for (;;) {
    while (c.symbol(";"));
    if (c.words(...end)) {
      if (body.length === 0) {
        throw new TsqlError(102, `Incorrect syntax near '${end[0]?.toLowerCase()}'.`, 15, 1, c.line)
      }
      return body
    }
    if (c.token.kind === "end") throw c.fail()
    body.push(parseStatement(c))
  }
}

const output = (c: Cursor): ReadonlyArray<SelectItem> | undefined => {
  if (!c.word("OUTPUT")) return undefined
  const items = parseSelectItems(c)
  if (c.isWord("INTO")) throw unsupported("OUTPUT INTO", c.line)
  return items
}

const parseStatement = (c: Cursor): Statement => {
  const line = c.line
  if (c.isWord("SELECT") || c.isSymbol("(")) return { line, tag: "query", query: parseQuery(c) }
  if (c.isWord("WITH")) return { line, tag: "query", query: parseQuery(c) }
  if (c.word("INSERT")) return parseInsert(c, line)
  if (c.word("UPDATE")) return parseUpdate(c, line)
  if (c.word("DELETE")) {
    if (c.isWord("TOP")) throw unsupported("DELETE TOP", line)
    c.word("FROM")
    const target = c.objectName()
    const returned = output(c)
    if (c.isWord("FROM")) throw unsupported("DELETE with a second FROM", line)
    return { line, tag: "delete", target, output: returned, where: c.word("WHERE") ? parsePredicate(c) : undefined }
  }
  if (c.words("TRUNCATE", "TABLE")) return { line, tag: "truncate", table: c.objectName() }
  if (c.isWord("CREATE")) return parseCreate(c, line)
  if (c.words("ALTER", "TABLE")) return parseAlter(c, line)
  if (c.words("ALTER", "DATABASE")) return parseAlterDatabase(c, line)
  if (c.isWord("DROP")) return parseDrop(c, line)
  if (c.isWord("GRANT", "DENY", "REVOKE")) return parsePermission(c, line)
  if (c.isWord("BEGIN", "COMMIT", "ROLLBACK", "SAVE")) return parseTransaction(c, line)
  if (c.word("SET")) return parseSet(c, line)
  if (c.word("DECLARE")) return parseDeclare(c, line)
  if (c.word("IF")) {
    const condition = parsePredicate(c)
    const then = parseStatement(c)
    // A semicolon may end the first branch.
    if (c.isSymbol(";") && c.peek().upper === "ELSE") c.next()
    return { line, tag: "if", condition, then, otherwise: c.word("ELSE") ? parseStatement(c) : undefined }
  }
  if (c.word("WHILE")) return { line, tag: "while", condition: parsePredicate(c), body: parseStatement(c) }
  if (c.word("BREAK")) return { line, tag: "break" }
  if (c.word("CONTINUE")) return { line, tag: "continue" }
  if (c.word("RETURN")) return { line, tag: "return" }
  if (c.word("PRINT")) return { line, tag: "print", value: parseExpression(c) }
  if (c.word("RAISERROR")) {
    c.expectSymbol("(")
    const message = parseExpression(c)
    c.expectSymbol(",")
    const severity = parseExpression(c)
    c.expectSymbol(",")
    const state = parseExpression(c)
    c.expectSymbol(")")
    if (c.isWord("WITH")) throw unsupported("RAISERROR WITH", line)
    return { line, tag: "raiserror", message, severity, state }
  }
  if (c.word("THROW")) {
    if (c.isSymbol(";") || c.token.kind === "end" || c.isWord("END")) return { line, tag: "throw", args: undefined }
    const number = parseExpression(c)
    c.expectSymbol(",")
    const message = parseExpression(c)
    c.expectSymbol(",")
    return { line, tag: "throw", args: [number, message, parseExpression(c)] }
  }
  if (c.word("WAITFOR")) {
    if (!c.word("DELAY")) throw unsupported("WAITFOR other than DELAY", line)
    return { line, tag: "waitfor", delay: parseExpression(c) }
  }
  if (c.word("USE")) return { line, tag: "use", database: c.name() }
  if (c.word("KILL")) return { line, tag: "kill", spid: parseExpression(c) }
  if (c.word("EXEC") || c.word("EXECUTE")) return parseExecute(c, line)
  if (c.isWord("MERGE", "BULK", "BACKUP", "RESTORE", "OPEN", "CLOSE", "FETCH", "GOTO", "DBCC", "ALTER")) {
    throw unsupported(c.token.upper, line)
  }
  throw c.fail()
}

const parseInsert = (c: Cursor, line: number): Statement => {
  c.word("INTO")
  const table = c.objectName()
  const columns = c.isSymbol("(") && c.peek().upper !== "SELECT" ? c.nameList() : undefined
  const returned = output(c)
  if (c.words("DEFAULT", "VALUES")) {
    return { line, tag: "insert", table, columns, output: returned, source: { tag: "defaults" } }
  }
  if (c.word("VALUES")) {
    const rows: Array<ReadonlyArray<Expression | undefined>> = []
    do {
      c.expectSymbol("(")
      const row: Array<Expression | undefined> = []
      do {
        row.push(c.word("DEFAULT") ? undefined : parseExpression(c))
      } while (c.symbol(","))
      c.expectSymbol(")")
      rows.push(row)
    } while (c.symbol(","))
    if (rows.length > 1000) {
      throw new TsqlError(
        10738,
        "The number of row value expressions in the INSERT statement exceeds the maximum allowed number of 1000 row values.",
        15,
        1,
        line
      )
    }
    return { line, tag: "insert", table, columns, output: returned, source: { tag: "rows", rows } }
  }
  if (c.isWord("EXEC", "EXECUTE")) throw unsupported("INSERT ... EXECUTE", line)
  return { line, tag: "insert", table, columns, output: returned, source: { tag: "query", query: parseQuery(c) } }
}

const parseUpdate = (c: Cursor, line: number): Statement => {
  if (c.isWord("TOP")) throw unsupported("UPDATE TOP", line)
  const target = c.objectName()
  if (c.isWord("WITH")) throw unsupported("a hint on UPDATE", line)
  c.expectWord("SET")
  const assignments: Array<{ column: string; value: Expression | undefined }> = []
  do {
    if (c.token.kind === "variable") throw unsupported("UPDATE that sets a variable", line)
    let column = c.name()
    if (c.symbol(".")) column = c.name()
    if (c.isSymbol("+=", "-=", "*=", "/=")) throw unsupported(`${c.token.text} in UPDATE`, line)
    c.expectSymbol("=")
    assignments.push({ column, value: c.word("DEFAULT") ? undefined : parseExpression(c) })
  } while (c.symbol(","))
  const returned = output(c)
  const from = c.word("FROM") ? parseSource(c) : undefined
  return {
    line,
    tag: "update",
    target,
    assignments,
    output: returned,
    from,
    where: c.word("WHERE") ? parsePredicate(c) : undefined
  }
}

/** The text of what stands in parentheses here, with the condition checked for its syntax. */
const checkText = (c: Cursor): string => {
  c.expectSymbol("(")
  const first = c.token
  parsePredicate(c)
  const text = c.textFrom(first)
  c.expectSymbol(")")
  return text
}

const parseForeign = (
  c: Cursor,
  name: string | undefined,
  columns: ReadonlyArray<string>
): ConstraintDefinition => {
  c.expectWord("REFERENCES")
  const table = c.objectName()
  const references = c.isSymbol("(") ? c.nameList() : columns
  let cascade = false
  while (c.word("ON")) {
    const deleting = c.word("DELETE")
    if (!deleting) c.expectWord("UPDATE")
    if (c.word("CASCADE")) {
      if (!deleting) throw unsupported("ON UPDATE CASCADE", c.line)
      cascade = true
    } else if (!c.words("NO", "ACTION")) throw unsupported(`ON DELETE ${c.token.text}`, c.line)
  }
  return { tag: "foreign", name, columns, table, references, cascade }
}

/** One item of CREATE TABLE or ALTER TABLE ADD: a constraint of the table, or a column with its own. */
const parseTableItem = (
  c: Cursor,
  columns: Array<ColumnDefinition>,
  constraints: Array<ConstraintDefinition>
): void => {
  const clustering = (): void => {
    if (!c.word("CLUSTERED")) c.word("NONCLUSTERED")
  }
  if (c.isWord("CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN")) {
    const name = c.word("CONSTRAINT") ? c.name() : undefined
    if (c.words("PRIMARY", "KEY")) {
      clustering()
      constraints.push({ tag: "key", name, primary: true, columns: c.nameList() })
    } else if (c.word("UNIQUE")) {
      clustering()
      constraints.push({ tag: "key", name, primary: false, columns: c.nameList() })
    } else if (c.word("CHECK")) {
      constraints.push({ tag: "check", name, text: checkText(c) })
    } else if (c.words("FOREIGN", "KEY")) {
      constraints.push(parseForeign(c, name, c.nameList()))
    } else throw c.fail()
    return
  }
  const name = c.name()
  if (c.isWord("AS")) throw unsupported("computed columns", c.line)
  const type = c.type(true)
  let nullable: boolean | undefined
  let identity: ColumnDefinition["identity"]
  let fallback: string | undefined
  for (;;) {
    const constraint = c.word("CONSTRAINT") ? c.name() : undefined
    if (c.words("NOT", "NULL")) nullable = false
    else if (c.word("NULL")) nullable = true
    else if (c.word("IDENTITY")) {
      let seed = 1n
      let step = 1n
      if (c.symbol("(")) {
        seed = c.integer()
        c.expectSymbol(",")
        step = c.integer()
        c.expectSymbol(")")
      }
      identity = { seed, step }
      nullable = false
    } else if (c.word("DEFAULT")) {
      const first = c.token
      parseExpression(c)
      fallback = c.textFrom(first)
    } else if (c.words("PRIMARY", "KEY")) {
      clustering()
      nullable = false
      constraints.push({ tag: "key", name: constraint, primary: true, columns: [name] })
    } else if (c.word("UNIQUE")) {
      clustering()
      constraints.push({ tag: "key", name: constraint, primary: false, columns: [name] })
    } else if (c.word("CHECK")) constraints.push({ tag: "check", name: constraint, text: checkText(c) })
    else if (c.isWord("REFERENCES") || c.words("FOREIGN", "KEY")) constraints.push(parseForeign(c, constraint, [name]))
    else if (c.isWord("COLLATE")) throw unsupported("COLLATE", c.line)
    else if (constraint === undefined) break
    else throw c.fail()
  }
  columns.push({ name, type, nullable, identity, default: fallback })
}

const parseCreate = (c: Cursor, line: number): Statement => {
  c.next()
  if (c.word("TABLE")) {
    const table = c.objectName()
    const columns: Array<ColumnDefinition> = []
    const constraints: Array<ConstraintDefinition> = []
    c.expectSymbol("(")
    do {
      if (c.isSymbol(")")) break
      parseTableItem(c, columns, constraints)
    } while (c.symbol(","))
    c.expectSymbol(")")
    return { line, tag: "createTable", table, columns, constraints }
  }
  const unique = c.word("UNIQUE")
  if (!c.word("CLUSTERED")) c.word("NONCLUSTERED")
  if (c.word("INDEX")) {
    const name = c.name()
    c.expectWord("ON")
    const table = c.objectName()
    const columns = c.nameList()
    if (c.isWord("INCLUDE", "WHERE", "WITH")) throw unsupported(`${c.token.upper} on an index`, line)
    return { line, tag: "createIndex", unique, name, table, columns }
  }
  if (!unique && c.word("SCHEMA")) return { line, tag: "createSchema", name: c.name() }
  if (!unique && c.word("DATABASE")) return { line, tag: "createDatabase", name: c.name() }
  throw unsupported(`CREATE ${c.token.text.toUpperCase()}`, line)
}

/** Row versions are always on here. */
const parseAlterDatabase = (c: Cursor, line: number): Statement => {
  const name = c.name()
  c.expectWord("SET")
  if (c.words("ALLOW_SNAPSHOT_ISOLATION", "ON") || c.words("READ_COMMITTED_SNAPSHOT", "ON")) {
    return { line, tag: "alterDatabase", name, alone: false }
  }
  if (c.words("SINGLE_USER", "WITH", "ROLLBACK", "IMMEDIATE")) return { line, tag: "alterDatabase", name, alone: true }
  throw unsupported(`ALTER DATABASE ... SET ${c.token.text}`, line)
}

const parseAlter = (c: Cursor, line: number): Statement => {
  const table = c.objectName()
  if (c.words("DROP", "COLUMN")) {
    return { line, tag: "alterTable", table, change: { tag: "dropColumn", name: c.name() } }
  }
  if (c.words("DROP", "CONSTRAINT")) {
    return { line, tag: "alterTable", table, change: { tag: "dropConstraint", name: c.name() } }
  }
  if (!c.word("ADD")) throw unsupported(`ALTER TABLE ${c.token.text.toUpperCase()}`, line)
  const columns: Array<ColumnDefinition> = []
  const constraints: Array<ConstraintDefinition> = []
  do parseTableItem(c, columns, constraints)
  while (c.symbol(","))
  return { line, tag: "alterTable", table, change: { tag: "add", columns, constraints } }
}

const parseDrop = (c: Cursor, line: number): Statement => {
  c.next()
  if (c.word("TABLE")) {
    const ifExists = c.words("IF", "EXISTS")
    const tables = [c.objectName()]
    while (c.symbol(",")) tables.push(c.objectName())
    return { line, tag: "dropTable", tables, ifExists }
  }
  if (c.word("INDEX")) {
    const ifExists = c.words("IF", "EXISTS")
    const name = c.name()
    c.expectWord("ON")
    return { line, tag: "dropIndex", name, table: c.objectName(), ifExists }
  }
  if (c.word("DATABASE")) return { line, tag: "dropDatabase", name: c.name() }
  throw unsupported(`DROP ${c.token.text.toUpperCase()}`, line)
}

const parsePermission = (c: Cursor, line: number): Statement => {
  // The caller saw one of the three words.
  const verb = c.next().upper as "GRANT" | "DENY" | "REVOKE"
  const actions: Array<string> = []
  do {
    const action = c.next()
    if (!["SELECT", "INSERT", "UPDATE", "DELETE"].includes(action.upper)) {
      throw unsupported(`${verb} ${action.text}`, line)
    }
    actions.push(action.upper)
  } while (c.symbol(","))
  c.expectWord("ON")
  const table = c.objectName()
  if (!(verb === "REVOKE" && c.word("FROM"))) c.expectWord("TO")
  return { line, tag: "permission", verb, actions, table, user: c.name() }
}

const parseTransaction = (c: Cursor, line: number): Statement => {
  const verb = c.next().upper
  if (verb === "BEGIN" && c.word("TRY")) {
    const body = block(c, "END", "TRY")
    while (c.symbol(";"));
    if (!c.words("BEGIN", "CATCH")) throw c.fail()
    const handler: Array<Statement> = []
    for (;;) {
      while (c.symbol(";"));
      if (c.words("END", "CATCH")) break
      handler.push(parseStatement(c))
    }
    return { line, tag: "try", body, handler }
  }
  const transaction = c.word("TRANSACTION") || c.word("TRAN")
  if (verb === "BEGIN" && !transaction) {
    if (c.isWord("DISTRIBUTED")) throw unsupported("distributed transactions", line)
    return { line, tag: "block", body: block(c, "END") }
  }
  if (!transaction) {
    if (verb === "SAVE") throw c.fail()
    c.word("WORK")
  }
  const name = transaction && c.isName ? c.name() : undefined
  if (c.token.kind === "variable") throw unsupported("a transaction name from a variable", line)
  if (c.isWord("WITH")) throw unsupported(`${verb} TRANSACTION WITH`, line)
  if (verb === "SAVE" && name === undefined) throw c.fail()
  const tag = verb === "BEGIN" ? "begin" : verb === "COMMIT" ? "commit" : verb === "ROLLBACK" ? "rollback" : "save"
  return { line, tag, name }
}

const isolationNames: ReadonlyArray<readonly [ReadonlyArray<string>, IsolationLevel]> = [
  [["READ", "UNCOMMITTED"], "read uncommitted"],
  [["READ", "COMMITTED"], "read committed"],
  [["REPEATABLE", "READ"], "repeatable read"],
  [["SERIALIZABLE"], "serializable"],
  [["SNAPSHOT"], "snapshot"]
]

const switches = new Set([
  "ANSI_NULLS",
  "ANSI_NULL_DFLT_ON",
  "ANSI_PADDING",
  "ANSI_WARNINGS",
  "ARITHABORT",
  "CONCAT_NULL_YIELDS_NULL",
  "CURSOR_CLOSE_ON_COMMIT",
  "IMPLICIT_TRANSACTIONS",
  "NUMERIC_ROUNDABORT",
  "QUOTED_IDENTIFIER",
  "XACT_ABORT",
  "NOCOUNT"
])
const settings = new Set([
  "LOCK_TIMEOUT",
  "TEXTSIZE",
  "LANGUAGE",
  "DATEFIRST",
  "DATEFORMAT",
  "ROWCOUNT",
  "DEADLOCK_PRIORITY"
])

const parseSet = (c: Cursor, line: number): Statement => {
  if (c.token.kind === "variable") {
    const name = c.variable()
    if (!c.isSymbol("=")) throw unsupported(`SET @variable ${c.token.text}`, line)
    c.next()
    return { line, tag: "setVariable", name, value: parseExpression(c) }
  }
  if (c.words("TRANSACTION", "ISOLATION", "LEVEL")) {
    for (const [words, level] of isolationNames) {
      if (c.words(...words)) return { line, tag: "setIsolation", level }
    }
    throw c.fail()
  }
  if (c.word("IDENTITY_INSERT")) {
    const table = c.objectName()
    const on = c.word("ON")
    if (!on) c.expectWord("OFF")
    return { line, tag: "setIdentityInsert", table, on }
  }
  const options: Array<string> = []
  do {
    const option = c.next()
    if (option.kind !== "word" || !(switches.has(option.upper) || settings.has(option.upper))) {
      throw new TsqlError(195, `'${option.text}' is not a recognized SET option.`, 15, 4, line)
    }
    options.push(option.upper)
  } while (c.symbol(","))
  if (switches.has(options[0]!)) {
    const on = c.word("ON")
    if (!on) c.expectWord("OFF")
    return { line, tag: "setOption", options, value: on ? "ON" : "OFF" }
  }
  const negative = c.symbol("-")
  const value = c.next()
  if (!["number", "word", "name", "string", "nstring"].includes(value.kind)) throw c.fail()
  return { line, tag: "setOption", options, value: (negative ? "-" : "") + value.text }
}

const parseDeclare = (c: Cursor, line: number): Statement => {
  const variables: Array<{ name: string; type: ReturnType<Cursor["type"]>; value: Expression | undefined }> = []
  do {
    const name = c.variable()
    c.word("AS")
    if (c.isWord("TABLE", "CURSOR")) throw unsupported(`DECLARE ${c.token.upper}`, line)
    const type = c.type(true)
    variables.push({ name, type, value: c.symbol("=") ? parseExpression(c) : undefined })
  } while (c.symbol(","))
  return { line, tag: "declare", variables }
}

const parseExecute = (c: Cursor, line: number): Statement => {
  if (c.isSymbol("(")) throw unsupported("EXECUTE of a text in parentheses", line)
  let into: string | undefined
  if (c.token.kind === "variable") {
    into = c.variable()
    c.expectSymbol("=")
  }
  const { name } = c.objectName()
  const args: Array<{ name: string | undefined; value: Expression; output: string | undefined }> = []
  const startsNext = c.token.kind === "word" && !c.isName && !c.isWord("NULL")
  if (!(c.isSymbol(";") || c.token.kind === "end" || startsNext)) {
    do {
      let parameter: string | undefined
      if (c.token.kind === "variable" && c.peek().text === "=") {
        parameter = c.variable().slice(1)
        c.next()
      }
      // A bare word is a string here.
      const value: Expression = c.token.kind === "word" && !c.isWord("NULL") && c.peek().text !== "("
        ? { tag: "string", value: c.next().text, unicode: true }
        : parseExpression(c)
      const out = c.word("OUTPUT") || c.word("OUT")
      if (out && value.tag !== "variable") throw c.fail()
      args.push({ name: parameter, value, output: out && value.tag === "variable" ? value.name : undefined })
    } while (c.symbol(","))
  }
  return { line, tag: "execute", procedure: name.toLowerCase(), args, into }
}
