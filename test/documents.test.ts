/** The documents say what the code says, and show what is type-checked and run. */
import { assert, describe, it } from "@effect/vitest"
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { documents, unmarked, written } from "../scripts/blocks.js"
import { page as capabilities } from "../scripts/capabilities.js"
import { page as settings } from "../scripts/settings.js"
import { packages } from "../src/internal/driver/packages.js"

const root = fileURLToPath(new URL("..", import.meta.url))
const read = (path: string) => readFileSync(join(root, path), "utf8").replaceAll("\r\n", "\n")

describe("generated pages are what the code says", () => {
  it("docs/settings.md (npm run docs:settings)", () => assert.strictEqual(read("docs/settings.md"), settings))

  it("docs/capabilities.md (npm run docs:capabilities)", () => {
    assert.strictEqual(read("docs/capabilities.md"), capabilities)
  })
})

describe.each(documents)("%s", (path) => {
  it("shows no TypeScript of its own: each block names its file (scripts/blocks.ts)", () => {
    assert.deepStrictEqual(unmarked(path), [])
  })

  it("shows the files as they are (npm run docs:blocks)", () => assert.strictEqual(read(path), written(path)))

  it("names the fiber, the client, the session: no persons (scripts/persons.json)", () => {
    const words = JSON.parse(read("scripts/persons.json")) as ReadonlyArray<string>
    assert.deepStrictEqual(read(path).match(new RegExp(`\\b(?:${words.join("|")})\\b`, "gi")) ?? [], [])
  })

  it("has links that lead somewhere", () => {
    const headings = (file: string) =>
      [...read(file).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
        heading!.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-")
      )
    for (const [, target] of read(path).matchAll(/\]\((?!https?:)([^)]+)\)/g)) {
      const [file = "", anchor] = target!.split("#")
      const place = file === "" ? path : join(dirname(path), file)
      assert.isTrue(existsSync(join(root, place)), target)
      if (anchor !== undefined) assert.include(headings(place), anchor, target)
    }
  })
})

describe("the README", () => {
  const readme = read("README.md")
  const chapter = (title: string) => readme.split(`## ${title}\n`)[1]?.split("\n## ")[0] ?? ""

  it("is short", () => assert.isAtMost(readme.split("\n").length, 261))

  it("names, for each guarantee, tests that exist", () => {
    const guarantees = chapter("Guarantees").split("\n").filter((line) => /^\d+\. /.test(line))
    assert.isAbove(guarantees.length, 10)
    for (const guarantee of guarantees) {
      const tests = [...guarantee.matchAll(/\[([^\]]+)\]\((test\/[^)]+)\)/g)]
      assert.isAbove(tests.length, 0, guarantee)
      for (const [, name, file] of tests) assert.include(read(file!), `"${name}"`, file)
    }
  })

  it("installs versions that the package takes: each package's latest may be of Effect 4", () => {
    type Versions = Readonly<Record<string, string>>
    const { devDependencies, peerDependencies }: {
      readonly devDependencies: Versions
      readonly peerDependencies: Versions
    } = JSON.parse(read("package.json"))
    const installed = [...chapter("Install").matchAll(/^npm install (.*?)(?: {2,}#.*)?$/gm)]
      .flatMap(([, words]) => words!.split(" "))
      .filter((word) => word !== "dblive" && word !== "--save-dev")
    assert.isAbove(installed.length, 8)
    for (const word of installed) {
      const [, name = "", version] = /^(@?[^@]+)(?:@(.+))?$/.exec(word) ?? []
      // What the package does not ask for is told in the version that it is tested with.
      const taken = (peerDependencies[name] ?? devDependencies[name] ?? "none").split(" || ")
      assert.isTrue(
        taken.some((one) => one.replace("^", "").startsWith(`${version}.`)),
        `${word}: ${taken.join(" || ")}`
      )
    }
  })

  it("gives the overrides with which Drizzle's and Kysely's adapters are tested", () => {
    const { devDependencies, overrides } = JSON.parse(read("package.json")) as {
      readonly devDependencies: Readonly<Record<string, string>>
      readonly overrides: Readonly<Record<string, unknown>>
    }
    const tested = ["@effect/sql-drizzle", "@effect/sql-kysely"]
    const expected = { overrides: Object.fromEntries(tested.map((name) => [name, overrides[name]])) }
    const text = read("docs/coming-from.md")
    const blocks = [...text.matchAll(/```json\n([^]*?)```/g)].map(([, block]) => JSON.parse(block!) as unknown)
    assert.deepInclude(blocks, expected)
    for (const name of tested) {
      assert.include(text, `\`${name}\` ${devDependencies[name]!.replace(/\.\d+$/, "")}`)
    }
  })

  it("names the versions of Better Auth and of its adapter that are tested", () => {
    const { devDependencies } = JSON.parse(read("package.json")) as {
      readonly devDependencies: Readonly<Record<string, string>>
    }
    const text = read("docs/coming-from.md")
    assert.include(text, `better-auth-effect) ${devDependencies["better-auth-effect"]} is`)
    assert.include(text, `(tested with ${devDependencies["better-auth"]!.replace(/\.\d+$/, "")})`)
  })

  it("names the versions of OpenTelemetry and Prometheus that are tested", () => {
    type Versions = Readonly<Record<string, string>>
    const { devDependencies }: { readonly devDependencies: Versions } = JSON.parse(read("package.json"))
    const observability = read("docs/observability.md")
    const named = [...observability.matchAll(/`(@(?:effect\/)?opentelemetry[^`@]*|prom-client)` (\d+\.\d+\.\d+)/g)]
    assert.isAbove(named.length, 5)
    for (const [, name = "", version] of named) assert.strictEqual(version, devDependencies[name], name)
    const installed = /npm install (@effect\/opentelemetry@[^]*?)```/.exec(observability)?.[1] ?? ""
    const words = installed.split(/[\s\\]+/).filter((word) => word !== "")
    assert.isAbove(words.length, 5)
    for (const word of words) {
      const [, name = "", version] = /^(.+)@(.+)$/.exec(word) ?? []
      assert.isTrue(devDependencies[name]?.startsWith(`${version}.`), word)
    }
    const [, tested] = /`@effect\/opentelemetry` \(tested with ([\d.]+)/.exec(readme) ?? []
    assert.strictEqual(tested, devDependencies["@effect/opentelemetry"])
  })

  it("tells the same commands as the errors where a package is missing", () => {
    const told = `${readme}\n${read("docs/testing.md")}`
    for (const command of Object.values(packages)) assert.match(told, new RegExp(`npm install ${command}[ \`]`))
  })
})

describe("the map of the source", () => {
  it("has every module and folder of src/, and nothing else", () => {
    const map = /```\nsrc\/\n([^]*?)```/.exec(read("CONTRIBUTING.md"))?.[1] ?? ""
    const named = (indent: string) =>
      [...map.matchAll(new RegExp(`^${indent}(\\S+(?: [a-z]+/)*)`, "gm"))].flatMap(([, names]) =>
        names!.split(" ").map((name) => name.replace(/\/$/, ""))
      )
    const isPublic = (name: string) => /^Db\w*\.ts$/.test(name)
    assert.deepStrictEqual(
      named(" {2}").map((name) => name === "Db*.ts" ? "Db.ts" : name).sort(),
      readdirSync(join(root, "src")).filter((name) => !isPublic(name) || name === "Db.ts").sort()
    )
    assert.deepStrictEqual(named(" {4}").sort(), readdirSync(join(root, "src/internal")).sort())
    for (const [, folder] of map.matchAll(/^(\w+)\//gm)) assert.isTrue(statSync(join(root, folder!)).isDirectory())
  })

  it("leads to files that are there: the glossary and the ways through the source", () => {
    const glossary = [...read("docs/glossary.md").matchAll(/`((?:\w+\/)*\w+\.ts)`/g)].map(([, file]) => `src/${file!}`)
    const ways = /## Six ways[^]*?(?=\n## Decisions)/.exec(read("docs/architecture.md"))?.[0] ?? ""
    const steps = [...ways.matchAll(/`((?:\w+\/)+\w+\.ts)`/g)].map(([, file]) => `src/internal/${file!}`)
    assert.isAbove(glossary.length, 25)
    assert.isAbove(steps.length, 20)
    for (const file of [...glossary, ...steps]) assert.isTrue(existsSync(join(root, file)), file)
  })
})
