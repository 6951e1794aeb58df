/**
 * Queries, expressions and predicates.
 *
 * Exports: `parseExpression`, `parsePredicate`, `parseQuery`, `parseSource`, `parseSelectItems`.
 */
import { unsupported } from "../types.js"
import type { Expression, OrderItem, Over, Predicate, Query, Select, SelectItem, SetOperation, Source } from "./ast.js"
import type { Cursor } from "./cursor.js"

const expressionList = (c: Cursor): ReadonlyArray<Expression> => {
  const list = [parseExpression(c)]
  while (c.symbol(",")) list.push(parseExpression(c))
  return list
}

/** The whole of a value expression. */
export const parseExpression = (c: Cursor): Expression => {
  let left = parseTerm(c)
  while (c.isSymbol("+", "-", "&", "|", "^")) {
    const line = c.line
    const operator = c.next().text
    left = { tag: "arithmetic", operator, left, right: parseTerm(c), line }
  }
  return left
}

const parseTerm = (c: Cursor): Expression => {
  let left = parseUnary(c)
  while (c.isSymbol("*", "/", "%")) {
    const line = c.line
    const operator = c.next().text
    left = { tag: "arithmetic", operator, left, right: parseUnary(c), line }
  }
  return left
}

const parseUnary = (c: Cursor): Expression => {
  if (c.isSymbol("-", "+", "~")) {
    // The lexer gives no other symbol here.
    const operator = c.next().text as "-" | "+" | "~"
    return { tag: "unary", operator, operand: parseUnary(c) }
  }
  return parsePrimary(c)
}

const parsePrimary = (c: Cursor): Expression => {
  const token = c.token
  switch (token.kind) {
    case "number":
      c.next()
      return { tag: "number", text: token.text }
    case "string":
      c.next()
      return { tag: "string", value: token.text, unicode: false }
    case "nstring":
      c.next()
      return { tag: "string", value: token.text, unicode: true }
    case "binary":
      c.next()
      return { tag: "binary", hex: token.text.length % 2 === 0 ? token.text : `0${token.text}` }
    case "variable":
      c.next()
      return { tag: "variable", name: token.text.toLowerCase(), line: token.line }
    case "symbol": {
      if (token.text !== "(") throw c.fail()
      c.next()
      if (c.isWord("SELECT", "WITH")) {
        const query = parseQuery(c)
        c.expectSymbol(")")
        return { tag: "subquery", query }
      }
      const inner = parseExpression(c)
      c.expectSymbol(")")
      return inner
    }
  }
  if (c.word("NULL")) return { tag: "null" }
  if (c.word("CASE")) return parseCase(c)
  if (c.word("CURRENT_TIMESTAMP")) {
    return { tag: "call", name: "GETDATE", args: [], star: false, distinct: false, over: undefined, line: token.line }
  }
  if ((c.isWord("CAST") || c.isWord("TRY_CAST")) && c.peek().text === "(") {
    const trying = c.next().upper === "TRY_CAST"
    c.expectSymbol("(")
    const operand = parseExpression(c)
    c.expectWord("AS")
    const type = c.type(false)
    c.expectSymbol(")")
    return { tag: "cast", operand, type, trying, style: undefined }
  }
  if ((c.isWord("CONVERT") || c.isWord("TRY_CONVERT")) && c.peek().text === "(") {
    const trying = c.next().upper === "TRY_CONVERT"
    c.expectSymbol("(")
    const type = c.type(false)
    c.expectSymbol(",")
    const operand = parseExpression(c)
    const style = c.symbol(",") ? Number(c.integer()) : undefined
    c.expectSymbol(")")
    return { tag: "cast", operand, type, trying, style }
  }
  if (c.isWord("IIF") && c.peek().text === "(") {
    c.next()
    c.expectSymbol("(")
    const condition = parsePredicate(c)
    c.expectSymbol(",")
    const then = parseExpression(c)
    c.expectSymbol(",")
    const otherwise = parseExpression(c)
    c.expectSymbol(")")
    return { tag: "iif", condition, then, otherwise }
  }
  if (
    c.peek().text === "(" && c.peek().kind === "symbol" && token.kind === "word" &&
    (c.isName || c.isWord("LEFT", "RIGHT", "NULLIF"))
  ) {
    return parseCall(c)
  }
  const first = c.name()
  if (!c.symbol(".")) return { tag: "column", table: undefined, name: first, line: token.line }
  const second = c.name()
  if (!c.symbol(".")) return { tag: "column", table: first, name: second, line: token.line }
  // schema.table.column
  return { tag: "column", table: second, name: c.name(), line: token.line }
}

const parseCall = (c: Cursor): Expression => {
  const line = c.line
  const name = c.next().upper
  c.expectSymbol("(")
  const star = c.symbol("*")
  const distinct = !star && c.word("DISTINCT")
  // DATEADD and DATEDIFF take a part's name first: it parses as a column.
  const args = star || c.isSymbol(")") ? [] : expressionList(c)
  c.expectSymbol(")")
  let over: Over | undefined
  if (c.word("OVER")) {
    c.expectSymbol("(")
    const partition = c.words("PARTITION", "BY") ? expressionList(c) : []
    const order = c.words("ORDER", "BY") ? parseOrder(c) : []
    c.expectSymbol(")")
    over = { partition, order }
  }
  return { tag: "call", name, args, star, distinct, over, line }
}

const parseCase = (c: Cursor): Expression => {
  const subject = c.isWord("WHEN") ? undefined : parseExpression(c)
  const branches: Array<{ when: Expression | undefined; condition: Predicate | undefined; then: Expression }> = []
  while (c.word("WHEN")) {
    const when = subject === undefined ? undefined : parseExpression(c)
    const condition = subject === undefined ? parsePredicate(c) : undefined
    c.expectWord("THEN")
    branches.push({ when, condition, then: parseExpression(c) })
  }
  if (branches.length === 0) throw c.fail()
  const otherwise = c.word("ELSE") ? parseExpression(c) : undefined
  c.expectWord("END")
  return { tag: "case", subject, branches, otherwise }
}

/** The whole of a condition. */
export const parsePredicate = (c: Cursor): Predicate => {
  let left = parseAnd(c)
  while (c.word("OR")) left = { tag: "or", left, right: parseAnd(c) }
  return left
}

const parseAnd = (c: Cursor): Predicate => {
  let left = parseNot(c)
  while (c.word("AND")) left = { tag: "and", left, right: parseNot(c) }
  return left
}

const parseNot = (c: Cursor): Predicate => c.word("NOT") ? { tag: "not", operand: parseNot(c) } : parseTest(c)

const comparisons = new Set(["=", "<", ">", "<>", "!=", "<=", ">=", "!<", "!>"])
const testWords = new Set(["AND", "OR", "NOT", "IS", "IN", "LIKE", "BETWEEN", "EXISTS"])

/** Whether the parenthesis that opens here holds a condition rather than a value. */
const holdsPredicate = (c: Cursor): boolean => {
  let depth = 0
  // Conditions inside a subquery, a CASE or an IIF say nothing about the parenthesis around them.
  let skip = 0
  let cases = 0
  for (let ahead = 0;; ahead++) {
    const token = c.peek(ahead)
    if (token.kind === "end") return false
    if (token.kind === "symbol" && token.text === "(") {
      depth++
      const inner = c.peek(ahead + 1).upper
      if (skip === 0 && (inner === "SELECT" || inner === "WITH" || c.peek(ahead - 1).upper === "IIF")) {
        if (depth === 1) return false
        skip = depth
      }
    } else if (token.kind === "symbol" && token.text === ")") {
      if (skip === depth) skip = 0
      depth--
      if (depth === 0) return false
    } else if (token.upper === "CASE") cases++
    else if (token.upper === "END") cases--
    else if (skip === 0 && cases === 0) {
      if (token.kind === "symbol" && comparisons.has(token.text)) return true
      if (token.kind === "word" && testWords.has(token.upper)) return true
    }
  }
}

const parseTest = (c: Cursor): Predicate => {
  if (c.isWord("EXISTS")) {
    c.next()
    c.expectSymbol("(")
    const query = parseQuery(c)
    c.expectSymbol(")")
    return { tag: "exists", query }
  }
  if (c.isSymbol("(") && holdsPredicate(c)) {
    c.next()
    const inner = parsePredicate(c)
    c.expectSymbol(")")
    return inner
  }
  const operand = parseExpression(c)
  if (c.word("IS")) {
    const negated = c.word("NOT")
    c.expectWord("NULL")
    return { tag: "isNull", operand, negated }
  }
  const negated = c.word("NOT")
  if (c.word("IN")) {
    c.expectSymbol("(")
    const list = c.isWord("SELECT", "WITH") ? parseQuery(c) : expressionList(c)
    c.expectSymbol(")")
    return { tag: "in", operand, list, negated }
  }
  if (c.word("BETWEEN")) {
    const low = parseExpression(c)
    c.expectWord("AND")
    return { tag: "between", operand, low, high: parseExpression(c), negated }
  }
  if (c.word("LIKE")) {
    const pattern = parseExpression(c)
    return { tag: "like", operand, pattern, escape: c.word("ESCAPE") ? parseExpression(c) : undefined, negated }
  }
  if (negated || !c.isSymbol("=", "<>", "!=", "<", ">", "<=", ">=", "!<", "!>")) throw c.fail()
  const operator = c.next().text
  return { tag: "compare", operator, left: operand, right: parseExpression(c) }
}

const parseOrder = (c: Cursor): ReadonlyArray<OrderItem> => {
  const items: Array<OrderItem> = []
  do {
    const expression = parseExpression(c)
    const descending = c.word("DESC")
    if (!descending) c.word("ASC")
    items.push({ expression, descending })
  } while (c.symbol(","))
  return items
}

const alias = (c: Cursor): string | undefined => {
  if (c.word("AS")) {
    if (c.token.kind === "string" || c.token.kind === "nstring") return c.next().text
    return c.name()
  }
  return c.isName ? c.name() : c.token.kind === "string" ? c.next().text : undefined
}

/** What stands between SELECT (or OUTPUT) and the next clause. */
export const parseSelectItems = (c: Cursor): ReadonlyArray<SelectItem> => {
  const items: Array<SelectItem> = []
  do {
    const line = c.line
    if (c.symbol("*")) {
      items.push({ tag: "star", table: undefined })
    } else if (c.isName && c.peek().text === "." && c.peek(2).text === "*" && c.peek(2).kind === "symbol") {
      const table = c.name()
      c.next()
      c.next()
      items.push({ tag: "star", table })
    } else if (c.token.kind === "variable" && !c.token.text.startsWith("@@") && c.peek().text === "=") {
      const variable = c.variable()
      c.expectSymbol("=")
      items.push({ tag: "assign", variable, expression: parseExpression(c), line })
    } else if (c.isName && c.peek().text === "=" && c.peek().kind === "symbol") {
      const name = c.name()
      c.next()
      items.push({ tag: "expression", expression: parseExpression(c), alias: name })
    } else {
      const expression = parseExpression(c)
      items.push({ tag: "expression", expression, alias: alias(c) })
    }
  } while (c.symbol(","))
  return items
}

const hintNames = new Set([
  "NOLOCK",
  "READUNCOMMITTED",
  "READCOMMITTED",
  "READCOMMITTEDLOCK",
  "READPAST",
  "UPDLOCK",
  "XLOCK",
  "ROWLOCK",
  "PAGLOCK",
  "TABLOCK",
  "TABLOCKX",
  "HOLDLOCK",
  "SERIALIZABLE",
  "REPEATABLEREAD",
  "SNAPSHOT",
  "NOWAIT"
])

const parseHints = (c: Cursor): ReadonlyArray<string> => {
  if (!(c.isWord("WITH") && c.peek().text === "(")) return []
  c.next()
  c.next()
  const hints: Array<string> = []
  do {
    const hint = c.next()
    if (hint.kind !== "word" || !hintNames.has(hint.upper)) throw unsupported(`the table hint ${hint.text}`, hint.line)
    hints.push(hint.upper)
  } while (c.symbol(",") || !c.isSymbol(")"))
  c.expectSymbol(")")
  return hints
}

const parseRowConstructors = (c: Cursor): ReadonlyArray<ReadonlyArray<Expression>> => {
  const rows: Array<ReadonlyArray<Expression>> = []
  do {
    c.expectSymbol("(")
    rows.push(expressionList(c))
    c.expectSymbol(")")
  } while (c.symbol(","))
  return rows
}

const parseOneSource = (c: Cursor): Source => {
  if (c.symbol("(")) {
    if (c.word("VALUES")) {
      const rows = parseRowConstructors(c)
      c.expectSymbol(")")
      c.word("AS")
      const name = c.name()
      return { tag: "values", rows, alias: name, columns: c.nameList() }
    }
    if (c.isWord("SELECT", "WITH")) {
      const query = parseQuery(c)
      c.expectSymbol(")")
      c.word("AS")
      const name = c.name()
      return { tag: "derived", query, alias: name, columns: c.isSymbol("(") ? c.nameList() : undefined }
    }
    const inner = parseSource(c)
    c.expectSymbol(")")
    return inner
  }
  const name = c.objectName()
  if (c.isSymbol("(")) throw unsupported(`the table function ${name.name}`, name.line)
  const given = c.isWord("WITH") ? undefined : alias(c)
  return { tag: "table", name, alias: given, hints: parseHints(c) }
}

/** What stands after FROM. */
export const parseSource = (c: Cursor): Source => {
  let left = parseOneSource(c)
  for (;;) {
    if (c.symbol(",") || c.words("CROSS", "JOIN")) {
      left = { tag: "join", kind: "CROSS", left, right: parseOneSource(c), on: undefined }
    } else if (c.words("LEFT", "OUTER", "JOIN") || c.words("LEFT", "JOIN")) {
      const right = parseOneSource(c)
      c.expectWord("ON")
      left = { tag: "join", kind: "LEFT", left, right, on: parsePredicate(c) }
    } else if (c.words("INNER", "JOIN") || c.word("JOIN")) {
      const right = parseOneSource(c)
      c.expectWord("ON")
      left = { tag: "join", kind: "INNER", left, right, on: parsePredicate(c) }
    } else if (c.isWord("RIGHT", "FULL", "CROSS", "OUTER")) {
      throw unsupported(`${c.token.upper} here`, c.line)
    } else {
      return left
    }
  }
}

const parseSelect = (c: Cursor): Select => {
  const line = c.line
  c.expectWord("SELECT")
  const distinct = c.word("DISTINCT")
  if (!distinct) c.word("ALL")
  let top: Expression | undefined
  if (c.word("TOP")) {
    if (c.symbol("(")) {
      top = parseExpression(c)
      c.expectSymbol(")")
    } else {
      top = parsePrimary(c)
    }
    if (c.isWord("PERCENT")) throw unsupported("TOP PERCENT", c.line)
    if (c.isWord("WITH")) throw unsupported("WITH TIES", c.line)
  }
  const items = parseSelectItems(c)
  const into = c.word("INTO") ? c.objectName() : undefined
  const from = c.word("FROM") ? parseSource(c) : undefined
  const where = c.word("WHERE") ? parsePredicate(c) : undefined
  const groupBy = c.words("GROUP", "BY") ? expressionList(c) : []
  const having = c.word("HAVING") ? parsePredicate(c) : undefined
  return { tag: "select", distinct, top, items, into, from, where, groupBy, having, line }
}

const parseBody = (c: Cursor): Select | SetOperation => {
  const operand = (): Select | SetOperation => {
    if (!c.isSymbol("(")) return parseSelect(c)
    c.next()
    const inner = parseBody(c)
    c.expectSymbol(")")
    return inner
  }
  let left = operand()
  for (;;) {
    const operator = c.words("UNION", "ALL")
      ? "UNION ALL"
      : c.word("UNION")
      ? "UNION"
      : c.word("EXCEPT")
      ? "EXCEPT"
      : c.word("INTERSECT")
      ? "INTERSECT"
      : undefined
    if (operator === undefined) return left
    left = { tag: "union", operator, left, right: operand() }
  }
}

/** A query, with what may stand before and after it. */
export const parseQuery = (c: Cursor): Query => {
  const ctes: Array<{ name: string; columns: ReadonlyArray<string> | undefined; query: Query }> = []
  if (c.word("WITH")) {
    do {
      const name = c.name()
      const columns = c.isSymbol("(") ? c.nameList() : undefined
      c.expectWord("AS")
      c.expectSymbol("(")
      ctes.push({ name, columns, query: parseQuery(c) })
      c.expectSymbol(")")
    } while (c.symbol(","))
  }
  const body = parseBody(c)
  const order = c.words("ORDER", "BY") ? parseOrder(c) : []
  let offset: Expression | undefined
  let fetch: Expression | undefined
  if (c.isWord("OFFSET")) {
    if (order.length === 0) throw c.fail()
    c.next()
    offset = parseExpression(c)
    if (!c.word("ROWS")) c.expectWord("ROW")
    if (c.word("FETCH")) {
      if (!c.word("NEXT")) c.expectWord("FIRST")
      fetch = parseExpression(c)
      if (!c.word("ROWS")) c.expectWord("ROW")
      c.expectWord("ONLY")
    }
  }
  if (c.isWord("FOR", "OPTION")) {
    if (c.token.upper === "OPTION" && c.peek().text === "(" && c.peek(2).upper === "MAXRECURSION") {
      c.next()
      c.next()
      c.next()
      c.integer()
      c.expectSymbol(")")
    } else throw unsupported(`${c.token.upper} after a query`, c.line)
  }
  return { with: ctes, body, order, offset, fetch }
}
