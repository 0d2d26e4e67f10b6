"""What a simulated clinic is made of: invented names, places, insurers, complaints and laboratory tests, as data."""

from dataclasses import dataclass

FAMILIES = (
    "Abernathy", "Åkesson", "Brannigan", "Castellanos", "D'Angelo", "de la Cruz", "Delacroix", "Eriksen", "Fairweather",
    "Garrido", "Grünwald", "Hollingsworth", "Ibáñez", "Jónsdóttir", "Kowalczyk", "Lindqvist", "MacAuley", "Muñoz",
    "Nakashima", "Ní Bhriain", "O'Connor", "O'Shea", "Pellegrini", "Quintero", "Rasmussen", "Świątek", "St. Clair",
    "Thackeray", "Ueda", "van der Meer", "Villanueva", "Wójcik", "Yılmaz", "Zimmermann", "Žižek", "Smythe-Jones",
)  # fmt: skip
GIVEN = {
    "F": ("Ada", "Beatriz", "Chloé", "Dagny", "Éloïse", "Freya", "Gisèle", "Hanna", "Inés", "Josephine", "Katarzyna",
          "Leonie", "Maëlle", "Nuala", "Odile", "Priya", "Renée", "Siobhán", "Tamsin", "Zoë"),
    "M": ("André", "Bartholomew", "Cormac", "Dmitri", "Emil", "François", "Günther", "Håkon", "Ivo", "Jesús", "Kenji",
          "Lorcan", "Mateo", "Niall", "Óscar", "Piotr", "Rasmus", "Søren", "Tobias", "Wendell"),
}  # fmt: skip
STREETS = ("Alder Way", "Birch Crescent", "Cannery Row", "Ferry Road", "Harbor View", "Mill Pond Lane", "Quarry Street")
CITIES = (("Port Alder", "WA", "98001"), ("Millbrook", "WA", "98042"), ("Fernhill", "OR", "97003"))
AREA_CODES = ("206", "253", "503")
RACES = (("2106-3", "White"), ("2054-5", "Black or African American"), ("2028-9", "Asian"), ("2131-1", "Other Race"))
ETHNICITIES = (("2186-5", "Not Hispanic or Latino"), ("2135-2", "Hispanic or Latino"))
LANGUAGES = (("eng", "English"), ("spa", "Spanish"), ("pol", "Polish"), ("fra", "French"))
MARITAL = ("S", "M", "D", "W")
RELATIONS = (("SPO", "Spouse"), ("MTH", "Mother"), ("FTH", "Father"), ("CHD", "Child"), ("BRO", "Brother"))
INSURERS = (("NSM", "Northsound Mutual", "HMO"), ("CPH", "Cascade Plains Health", "PPO"), ("TLP", "Tideline", "POS"))
ALLERGENS = (
    ("DA", "7980", "Penicillin", "SV", "Anaphylaxis"),
    ("DA", "2670", "Codeine", "MI", "Nausea"),
    ("FA", "256349002", "Peanut", "MO", "Urticaria"),
    ("MA", "111088007", "Latex", "MI", "Rash"),
    ("EA", "256277009", "Grass pollen", "MI", "Rhinitis"),
)
DIAGNOSES = (
    ("E11.9", "Type 2 diabetes mellitus without complications"),
    ("I10", "Essential (primary) hypertension"),
    ("J45.909", "Unspecified asthma, uncomplicated"),
    ("L20.9", "Atopic dermatitis, unspecified"),
    ("M54.50", "Low back pain, unspecified"),
    ("J06.9", "Acute upper respiratory infection, unspecified"),
)
CLINICIANS = (
    ("Marchetti", "Livia", "Family medicine"),
    ("Okonkwo", "Chidi", "Internal medicine"),
    ("Bjørnstad", "Ragnhild", "Dermatology"),
    ("Farrell", "Aoife", "Cardiology"),
    ("Haddad", "Samir", "Paediatrics"),
    ("Tran", "Minh", "Emergency medicine"),
)
ROOMS = (("CLINIC", "EX1", ""), ("CLINIC", "EX2", ""), ("DERM", "EX4", ""), ("WARD3", "1", "A"), ("WARD3", "2", "B"))
VISIT_TYPES = (
    ("CHECKUP", "Annual check-up", 30),
    ("FOLLOWUP", "Follow-up visit", 15),
    ("NEWPT", "New patient visit", 45),
    ("SKIN", "Full skin examination", 30),
    ("VACC", "Vaccination", 10),
)
CANCEL_REASONS = (("PAT", "Patient request"), ("PROV", "Provider unavailable"), ("WEATHER", "Weather"))
CULTURE_LINES = (
    "Specimen: urine, clean catch",
    "Gram stain: few gram-negative rods",
    "Culture: 10,000-50,000 CFU/mL Escherichia coli",
    "Susceptible to nitrofurantoin & fosfomycin; resistant to ampicillin",
)


@dataclass(frozen=True, slots=True)
class Analyte:
    """One laboratory test: LOINC code, name, OBX-2 value type, unit, and the healthy range of its numbers."""

    code: str
    name: str
    kind: str = "NM"
    unit: str = ""
    low: float = 0.0
    high: float = 0.0
    decimals: int = 1


PANELS: tuple[tuple[str, str, tuple[Analyte, ...]], ...] = (
    ("58410-2", "CBC panel - Blood by Automated count", (
        Analyte("6690-2", "Leukocytes", "NM", "10*3/uL", 4.5, 11.0),
        Analyte("789-8", "Erythrocytes", "NM", "10*6/uL", 4.1, 5.6, 2),
        Analyte("718-7", "Hemoglobin", "NM", "g/dL", 12.0, 17.0),
        Analyte("4544-3", "Hematocrit", "NM", "%", 36, 50),
        Analyte("777-3", "Platelets", "NM", "10*3/uL", 150, 400, 0),
        Analyte("787-2", "MCV", "NM", "fL", 80, 100),
    )),
    ("51990-0", "Basic metabolic panel - Blood", (
        Analyte("2345-7", "Glucose", "NM", "mg/dL", 70, 99, 0),
        Analyte("3094-0", "Urea nitrogen", "NM", "mg/dL", 7, 20, 0),
        Analyte("2160-0", "Creatinine", "NM", "mg/dL", 0.6, 1.3, 2),
        Analyte("2951-2", "Sodium", "NM", "mmol/L", 136, 145, 0),
        Analyte("2823-3", "Potassium", "NM", "mmol/L", 3.5, 5.1),
        Analyte("2075-0", "Chloride", "NM", "mmol/L", 98, 107, 0),
        Analyte("33914-3", "Glomerular filtration rate", "SN", "mL/min", 60, 120, 0),
    )),
    ("57698-3", "Lipid panel", (
        Analyte("2093-3", "Cholesterol", "NM", "mg/dL", 120, 200, 0),
        Analyte("2571-8", "Triglyceride", "NM", "mg/dL", 50, 150, 0),
        Analyte("2085-9", "HDL cholesterol", "NM", "mg/dL", 40, 90, 0),
        Analyte("13457-7", "LDL cholesterol", "NM", "mg/dL", 50, 130, 0),
        Analyte("4548-4", "Hemoglobin A1c", "NM", "%", 4.0, 5.6),
    )),
    ("24356-8", "Urinalysis complete panel - Urine", (
        Analyte("5778-6", "Color of urine", "ST"),
        Analyte("5767-9", "Appearance of urine", "ST"),
        Analyte("5803-2", "pH of urine", "NM", "", 5.0, 8.0),
        Analyte("2887-8", "Protein in urine", "CWE"),
        Analyte("5794-3", "Hemoglobin in urine", "CWE"),
        Analyte("5821-4", "White cells in urine", "SN", "/HPF", 0, 5, 0),
        Analyte("630-4", "Bacteria identified in urine by culture", "TX"),
    )),
    ("34566-0", "Vital signs with method details panel", (
        Analyte("8480-6", "Systolic blood pressure", "NM", "mm[Hg]", 95, 135, 0),
        Analyte("8462-4", "Diastolic blood pressure", "NM", "mm[Hg]", 60, 88, 0),
        Analyte("8867-4", "Heart rate", "NM", "/min", 52, 98, 0),
        Analyte("8310-5", "Body temperature", "NM", "Cel", 36.1, 37.4),
        Analyte("29463-7", "Body weight", "NM", "kg", 48, 110),
        Analyte("8302-2", "Body height", "NM", "cm", 150, 195, 0),
    )),
)  # fmt: skip
CODED_FINDINGS = (("260385009", "Negative"), ("10828004", "Positive"), ("371874002", "Trace"))
TEXT_VALUES = {"5778-6": ("Yellow", "Straw", "Amber"), "5767-9": ("Clear", "Slightly cloudy", "Cloudy")}
