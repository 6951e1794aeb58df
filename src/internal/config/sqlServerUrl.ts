/**
 * SQL Server's own ways to write a connection: `host:1433;database=x;user=y;password={z}` behind `sqlserver://`, and
 * `Server=tcp:host,1433;Database=x` of ODBC and ADO.
 */
import * as Draft from "./draft.js"
import { takeAll } from "./parameters.js"

/**
 * `name=value;name={va;l}}ue};name="va;l""ue";name='va;l''ue'`: inside braces and quotes `;` is part of the value, and a doubled
 * end of them stands for itself. Quotes within a value that does not begin with one are part of it. `undefined`: unclosed.
 */
const split = (text: string): ReadonlyArray<readonly [string, string]> | undefined => {
  const pairs: Array<readonly [string, string]> = []
  const pair =
    /\s*([^=;{}]*?)\s*(?:=\s*(?:\{((?:[^}]|\}\})*)\}\s*|"((?:[^"]|"")*)"\s*|'((?:[^']|'')*)'\s*|([^;{"'][^;]*|)))?(?:;|$)/y
  while (pair.lastIndex < text.length) {
    const match = pair.exec(text)
    if (match === null) {
      return undefined
    }
    if (match[1] !== "") {
      const [, name = "", braced, double, single, plain] = match
      pairs.push([
        name,
        braced?.replaceAll("}}", "}") ?? double?.replaceAll("\"\"", "\"") ?? single?.replaceAll("''", "'") ??
          plain?.trim() ?? ""
      ])
    }
  }
  return pairs
}

/** Reads `host;name=value;...`. The host may be missing. */
export const parseSqlServer = (text: string): Draft.Draft => {
  const draft = Draft.make("mssql")
  const semicolon = text.indexOf(";")
  const pairs = split(text.slice(semicolon + 1))
  if (semicolon > 0) {
    Draft.parseHosts(text.slice(0, semicolon).replace(/\/$/, ""), draft)
  }
  if (pairs === undefined) {
    draft.faults.push(
      "the settings behind the host cannot be read; accepted: name=value;name={value with ; in it}, or the same in quotes"
    )
  } else {
    takeAll("setting", pairs, draft)
  }
  return draft
}
