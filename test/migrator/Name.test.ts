import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as Name from "../../src/internal/migrator/Name.js"

const version = fc.array(fc.tuple(fc.nat({ max: 120 }), fc.nat({ max: 3 })), { minLength: 1, maxLength: 4 }).map((
  parts
) => parts.map(([number, zeros]) => "0".repeat(zeros) + number).join("."))

describe("Name", () => {
  it("versions with dots and underscores, repeatable and undo", () => {
    expect(Name.parse("V001__Create_table")).toEqual({ kind: "versioned", version: "001", description: "Create table" })
    expect(Name.parse("V1_2.3__a__b")).toEqual({ kind: "versioned", version: "1.2.3", description: "a  b" })
    expect(Name.parse("U1_2__Undo")).toEqual({ kind: "undo", version: "1.2", description: "Undo" })
    expect(Name.parse("R__All_views")).toEqual({ kind: "repeatable", version: undefined, description: "All views" })
  })

  it("what is not a name says so", () => {
    for (
      const name of [
        "V1_only",
        "V__x",
        "v1__x",
        "V1__",
        "V1__ ",
        "V1a__x",
        "R1__x",
        "V1.__x",
        `V${"1".repeat(51)}__x`,
        `R__${"x".repeat(201)}`
      ]
    ) {
      expect(Name.parse(name), name).toBeTypeOf("string")
    }
  })

  it("versions compare by number", () => {
    const sorted = [
      "0.9",
      "1",
      "1.2",
      "1.10",
      "2",
      "10",
      "20240101120000",
      "20240101120000.1",
      "99999999999999999999999"
    ]
    expect([...sorted].reverse().sort(Name.compareVersions)).toEqual(sorted)
    expect(Name.compareVersions("001", "1.0.0")).toBe(0)
    expect(Name.compareVersions("1_2", "1.02")).toBe(0)
  })

  it("comparing is a total order, and the key tells equality", () => {
    fc.assert(fc.property(version, version, version, (a, b, c) => {
      const ab = Name.compareVersions(a, b)
      expect(Name.compareVersions(b, a) + ab).toBe(0)
      expect(ab === 0).toBe(Name.versionKey(a) === Name.versionKey(b))
      if (ab <= 0 && Name.compareVersions(b, c) <= 0) {
        expect(Name.compareVersions(a, c)).toBeLessThanOrEqual(0)
      }
    }))
  })

  it("the next version", () => {
    expect(Name.nextVersion([])).toBe("001")
    expect(Name.nextVersion(["001", "0009.5", "2"])).toBe("0010")
    expect(Name.nextVersion(["999"])).toBe("1000")
    expect(Name.nextVersion(["20240101120000"])).toBe("20240101120001")
  })
})
