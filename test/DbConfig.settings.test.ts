/** Each default is told as the table of settings has it: in the comments of the options, and on the pages that name one. */
import { describe, it } from "@effect/vitest"
import { assertInclude, assertTrue, deepStrictEqual, strictEqual } from "@effect/vitest/utils"
import * as Fs from "node:fs"
import ts from "typescript"
import { rows, settings } from "../src/internal/config/settings.js"
import { defaultOf } from "../src/internal/config/table.js"

const read = (path: string) => Fs.readFileSync(new URL(`../${path}`, import.meta.url), "utf8")

const source = (path: string) => ts.createSourceFile(path, read(path), ts.ScriptTarget.ES2022, true)

/** The comments of an interface's properties by their paths, also of the interfaces of its properties. */
const comments = (file: ts.SourceFile, name: string, path = ""): ReadonlyArray<readonly [string, string]> => {
  const found = file.statements.find((statement) =>
    ts.isInterfaceDeclaration(statement) && statement.name.text === name
  )
  if (found === undefined || !ts.isInterfaceDeclaration(found)) return []
  return found.members.flatMap((member) => {
    const option = path + member.name!.getText()
    const comment = ts.getJSDocCommentsAndTags(member).map((node) =>
      (ts.isJSDoc(node) ? ts.getTextOfJSDocComment(node.comment) ?? "" : "").replace(/\s+/g, " ").replaceAll("`", "")
    ).join(" ")
    const type = ts.isPropertySignature(member) ? member.type?.getText() ?? "" : ""
    const group = /\w+Options\b/.exec(type)?.[0]
    const below = group === undefined || group === "TlsOptions" ? [] : comments(file, group, `${option}.`)
    return [[option, comment] as const, ...below]
  })
}

/** Whether a text names the default: `Defaults to 10 s.`, `Defaults to auto: ...`. */
const names = (comment: string, value: string): boolean => {
  const at = comment.indexOf(`Defaults to ${value}`)
  return at >= 0 && /^[.:,](?:\s|$)/.test(comment.slice(at + `Defaults to ${value}`.length))
}

const options = new Map(comments(source("src/internal/config/options.ts"), "Options"))

describe("the default of each setting", () => {
  it.each(rows.map((row) => [row.option, defaultOf(row)]))("%s: its comment says %j", (option, value) => {
    assertTrue(names(options.get(option!)!, value!), options.get(option!))
  })

  it("the comments of the complete configuration leave it to those of the options", () => {
    const found = comments(source("src/internal/config/model.ts"), "DbConfig")
    assertTrue(found.some(([option, comment]) => Object.hasOwn(settings, option) && comment !== ""))
    deepStrictEqual(found.filter(([, comment]) => comment.includes("Defaults to")), [])
  })

  it("docs/timeouts.md tells those of production", () => {
    const told = [...read("docs/timeouts.md").matchAll(/^\| `([\w.]+)` \| ([^|(]+?) (?:\(.*?\) )?\|/gm)]
    strictEqual(told.length, 7)
    deepStrictEqual(
      told.map(([, option, value]) => [option, value]),
      told.map(([, option]) => [option, defaultOf(rows.find((row) => row.option === option)!).split(";")[0]])
    )
  })

  it("docs/coming-from.md names the pool's", () => {
    const { overflow, size, validateAfter } = settings.pool
    const page = read("docs/coming-from.md")
    assertInclude(
      page,
      `pool: { size: ${size.defaults.production}, overflow: ${overflow.defaults.production} } })\`; the same numbers by ` +
        "default in production"
    )
    assertInclude(page, `\`pool.validateAfter\` (${defaultOf(validateAfter).split(";")[0]})`)
  })

  it("the README names the limits", () => {
    const [connect, acquire, statement, lock, idle, close] = [
      settings.pool.connectTimeout,
      settings.pool.acquireTimeout,
      settings.limits.statementTimeout,
      settings.limits.lockTimeout,
      settings.limits.idleInTransactionTimeout,
      settings.pool.closeTimeout
    ].map((row) => defaultOf(row).split(";")[0])
    assertInclude(
      read("README.md"),
      `Connecting ${connect}, waiting for a connection ${acquire}, a statement ${statement} (in-process SQLite: none), ` +
        `a lock ${lock}, idle in a transaction ${idle}, closing ${close}`
    )
  })
})
