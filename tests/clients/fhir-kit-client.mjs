// fhir-kit-client (npm), as its README uses it: `node fhir-kit-client.mjs BASE KEY` prints what it saw as JSON.
import { Client } from "fhir-kit-client";

const [baseUrl, key] = process.argv.slice(2);
const client = new Client({ baseUrl, customHeaders: { Authorization: `Bearer ${key}` } });
const SYSTEM = "urn:x:number";
const PATIENT = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a";
const aPatient = (number, more = {}) => ({
  resourceType: "Patient",
  identifier: [{ system: SYSTEM, value: String(number) }],
  name: [{ family: "Okonkwo", given: ["Adaeze"] }],
  gender: "female",
  ...more,
});
const refused = async (asked) => {
  try {
    await asked;
    return "answered";
  } catch (error) {
    return { status: error.response.status, type: error.response.data.resourceType };
  }
};
const seen = {};

seen.version = (await client.capabilityStatement()).fhirVersion;

const made = await client.create({ resourceType: "Patient", body: aPatient(1) });
const one = { resourceType: "Patient", id: made.id };
await client.update({ ...one, body: { ...made, active: true } });
await client.patch({ ...one, jsonPatch: [{ op: "replace", path: "/gender", value: "other" }] });
const read = await client.read(one);
seen.read = [read.active, read.gender, read.meta.versionId];
seen.vread = (await client.vread({ ...one, version: "1" })).gender;
seen.history = (await client.history(one)).entry.length;
seen.typeHistory = (await client.history({ resourceType: "Patient" })).type;

const conditional = { resourceType: "Patient", body: aPatient(2), options: { headers: { "If-None-Exist": `identifier=${SYSTEM}|2` } } };
await client.create(conditional);
await client.create(conditional);
seen.conditional = (await client.search({ resourceType: "Patient", searchParams: { identifier: `${SYSTEM}|2`, _summary: "count" } })).total;

for (let number = 3; number < 8; number += 1) await client.create({ resourceType: "Patient", body: aPatient(number) });
let page = await client.search({ resourceType: "Patient", searchParams: { family: "okonkwo", _count: 3 } });
const pages = [page.entry.length];
while ((page = await client.nextPage({ bundle: page }))) pages.push(page.entry.length);
seen.pages = pages;

const transaction = await client.transaction({
  body: {
    resourceType: "Bundle",
    type: "transaction",
    entry: [
      { fullUrl: PATIENT, resource: aPatient(9), request: { method: "POST", url: "Patient" } },
      {
        resource: { resourceType: "Condition", subject: { reference: PATIENT }, code: { text: "cough" } },
        request: { method: "POST", url: "Condition" },
      },
    ],
  },
});
seen.transaction = transaction.entry.map((entry) => entry.response.status.slice(0, 3));
const batch = await client.batch({
  body: {
    resourceType: "Bundle",
    type: "batch",
    entry: [
      { request: { method: "GET", url: `Patient/${made.id}` } },
      { request: { method: "GET", url: "Patient/nobody" } },
    ],
  },
});
seen.batch = batch.entry.map((entry) => entry.response.status.slice(0, 3));

const included = await client.search({
  resourceType: "Condition",
  searchParams: { "subject:Patient.identifier": `${SYSTEM}|9`, _include: "Condition:subject" },
});
seen.included = included.entry.map((entry) => [entry.resource.resourceType, entry.search.mode]);
const subject = included.entry[0].resource.subject.reference;
seen.resolved = (await client.resolve({ reference: subject })).identifier[0].value;
seen.compartment = (await client.compartmentSearch({
  resourceType: "Condition",
  compartment: { resourceType: "Patient", id: subject.split("/")[1] },
})).entry.length;

await client.delete(one);
seen.deleted = await refused(client.read(one));
seen.unknown = await refused(client.read({ resourceType: "Patient", id: "nobody" }));
seen.invalid = await refused(client.create({ resourceType: "Patient", body: { resourceType: "Patient", gender: "unknowable" } }));
seen.stale = await refused(client.update({
  resourceType: "Patient", id: subject.split("/")[1], body: { ...aPatient(9), id: subject.split("/")[1] },
  options: { headers: { "If-Match": 'W/"7"' } },
}));

console.log(JSON.stringify(seen));
