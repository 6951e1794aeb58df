/**
 * SQL Server's own ways to write a connection: `host:1433;database=x;user=y;password={z}` behind `sqlserver://`, and
 * `Server=tcp:host,1433;Database=x` of ODBC and ADO.
 */
import * as Draft from "./draft.js"
import { takeAll } from "./parameters.js"

const braces = String.raw`\{((?:[^}]|\}\})*)\}\s*`

/** `name=value;name={va;l}}ue}`: inside braces `;` is part of the value and `}}` is one `}`. That is all that JDBC has. */
const ofJdbc = new RegExp(String.raw`\s*([^=;{}]*?)\s*(?:=\s*(?:${braces}|([^;{][^;]*|)))?(?:;|$)`, "y")

/** The same, and `name="va;l""ue"` and `name='va;l''ue'`. Quotes within a value that does not begin with one are part of it. */
const ofAdo = new RegExp(
  String.raw`\s*([^=;{}]*?)\s*(?:=\s*(?:${braces}|([^;{"'][^;]*|)|"((?:[^"]|"")*)"\s*|'((?:[^']|'')*)'\s*))?(?:;|$)`,
  "y"
)

/** The settings of a text; `undefined` where braces or quotes are not closed. */
const split = (text: string, pair: RegExp): ReadonlyArray<readonly [string, string]> | undefined => {
  const pairs: Array<readonly [string, string]> = []
  pair.lastIndex = 0
  while (pair.lastIndex < text.length) {
    const match = pair.exec(text)
    if (match === null) {
      return undefined
    }
    if (match[1] !== "") {
      const [, name = "", braced, plain, double, single] = match
      pairs.push([
        name,
        braced?.replaceAll("}}", "}") ?? double?.replaceAll("\"\"", "\"") ?? single?.replaceAll("''", "'") ??
          plain?.trim() ?? ""
      ])
    }
  }
  return pairs
}

/** Reads `host;name=value;...` as JDBC does, where the host may be missing; without a host also as ADO.NET and ODBC do. */
export const parseSqlServer = (text: string, form: "jdbc" | "ado"): Draft.Draft => {
  const draft = Draft.make("mssql")
  const semicolon = text.indexOf(";")
  const pairs = split(text.slice(semicolon + 1), form === "jdbc" ? ofJdbc : ofAdo)
  if (semicolon > 0) {
    Draft.parseHosts(text.slice(0, semicolon).replace(/\/$/, ""), draft)
  }
  if (pairs === undefined) {
    draft.faults.push(
      `the settings behind the host cannot be read; accepted: name=value;name={value with ; in it}${
        form === "jdbc" ? "" : ", or the same in quotes"
      }`
    )
  } else {
    takeAll("setting", pairs, draft)
  }
  return draft
}
