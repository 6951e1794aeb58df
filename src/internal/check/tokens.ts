/**
 * The code of a statement as tokens, with its named parameters.
 */
import type { Dialect } from "@effect/sql/Statement"
import { Lexer } from "../sql/Lexer.js"
import type { Parsed } from "../sql/parsedStatement.js"
import { syntaxes } from "../sql/Syntax.js"

/** A token that is neither white space nor a comment. */
export interface Token {
  readonly kind: "word" | "name" | "number" | "string" | "sign" | "parameter"
  /** A word in capitals; a quoted name without its quotes; a parameter's name. */
  readonly text: string
  /** As it names a table or column: in small letters. */
  readonly id: string
  /** How many parentheses are open around it. */
  readonly depth: number
}

const unquote = (text: string): string => {
  const close = text.at(-1)!
  return text.slice(1, -1).replaceAll(close + close, close)
}

/** Cuts a statement at its parameters, of which none stands in a string or comment. */
export const tokensOf = ({ names, texts }: Parsed, dialect: Dialect): ReadonlyArray<Token> => {
  const tokens: Array<Token> = []
  let depth = 0
  const put = (kind: Token["kind"], text: string, id = ""): void => {
    if (text === ")" && kind === "sign") depth--
    tokens.push({ kind, text, id, depth })
    if (text === "(" && kind === "sign") depth++
  }
  texts.forEach((text, i) => {
    const lexer = new Lexer(syntaxes[dialect], text)
    while (lexer.nextCode()) {
      const { kind, token } = lexer
      if (kind === "word") put("word", token.toUpperCase(), token.toLowerCase())
      else if (kind === "name") put("name", unquote(token), unquote(token).toLowerCase())
      else if (kind === "number" || kind === "string") put(kind, token)
      else put("sign", token)
    }
    const name = names[i]
    if (name !== undefined) put("parameter", name)
  })
  return tokens
}

/** Whether a token can name a table or a column. */
export const isIdentifier = (token: Token | undefined): token is Token =>
  token !== undefined && (token.kind === "word" || token.kind === "name")

export const isWord = (token: Token | undefined, ...words: ReadonlyArray<string>): boolean =>
  token?.kind === "word" && words.includes(token.text)

export const isSign = (token: Token | undefined, sign: string): boolean => token?.kind === "sign" && token.text === sign
