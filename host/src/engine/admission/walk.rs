//! The pass over the bytes.

use super::{AdmissionError, Counted, FunctionBound, MEMORY_PAGES_MAX, proposals};
use crate::engine::profile::{LOCALS_MAX, OPERANDS_MAX, PARAMS_MAX, PROPOSALS_ON, RESULTS_MAX};
use reprise_abi::limits::TABLE_ELEMENTS_MAX;
use wasmparser::{
    CanonicalFunction, CanonicalOption, FuncToValidate, FuncValidatorAllocations, FunctionBody, Instance, Parser,
    Payload, ValidPayload, Validator, ValidatorResources, WasmModuleResources, types::Types,
};

/// A place in a component, as disassemblers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Core module, from 0; `None` outside of them.
    pub module: Option<u32>,
    /// Function of that module, imported ones counted first; `None` outside of functions.
    pub function: Option<u32>,
    /// Byte of the component.
    pub offset: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(module) = self.module {
            write!(f, "module {module}, ")?;
        }
        if let Some(function) = self.function {
            write!(f, "function {function}, ")?;
        }
        write!(f, "byte {:#x}", self.offset)
    }
}

/// Validates everything. Gives the types of the component and the names of its imports.
pub(super) fn walk(component: &[u8]) -> Result<(Types, Vec<String>), AdmissionError> {
    let mut walk = Walk {
        component,
        validator: Validator::new_with_features(PROPOSALS_ON),
        allocations: FuncValidatorAllocations::default(),
        place: Place { module: None, function: None, offset: 0 },
        modules: 0,
        counts: [0; 3],
        imports: Vec::new(),
    };
    let mut parser = Parser::new(0);
    parser.set_features(PROPOSALS_ON);
    let mut types = None;
    for payload in parser.parse_all(component) {
        let payload = payload.map_err(|error| walk.refuse(&error))?;
        if let Some(finished) = walk.payload(&payload)? {
            types = Some(finished);
        }
    }
    Ok((types.expect("the parser ends with the end of the component"), walk.imports))
}

struct Walk<'a> {
    component: &'a [u8],
    validator: Validator,
    allocations: FuncValidatorAllocations,
    place: Place,
    modules: u32,
    counts: [u32; 3],
    imports: Vec<String>,
}

impl Walk<'_> {
    /// Answers with the types when a module or component ends; the last one is the component itself.
    fn payload(&mut self, payload: &Payload<'_>) -> Result<Option<Types>, AdmissionError> {
        if let Payload::ModuleSection { unchecked_range, .. } = payload {
            self.place = Place { module: Some(self.modules), function: None, offset: unchecked_range.start };
            self.modules += 1;
        }
        let valid = self.validator.payload(payload).map_err(|error| self.refuse(&error))?;
        self.section(payload)?;
        match valid {
            ValidPayload::Func(function, body) => self.function(function, &body)?,
            ValidPayload::End(types) => {
                self.place.module = None;
                return Ok(Some(types));
            }
            ValidPayload::Ok | ValidPayload::Parser(_) => {}
        }
        Ok(None)
    }

    /// What is valid, but not for a policy.
    fn section(&mut self, payload: &Payload<'_>) -> Result<(), AdmissionError> {
        match payload {
            Payload::MemorySection(section) => self.memories(section.clone()),
            Payload::TableSection(section) => self.tables(section.clone()),
            Payload::InstanceSection(section) => self.instances(section.clone()),
            Payload::ComponentCanonicalSection(section) => self.canonicals(section.clone()),
            Payload::ComponentImportSection(section) => self.import_names(section.clone()),
            Payload::ComponentSection { unchecked_range, .. } => {
                Err(self.unsupported("components within the component", unchecked_range.start))
            }
            _ => Ok(()),
        }
    }

    fn memories(&mut self, section: wasmparser::MemorySectionReader<'_>) -> Result<(), AdmissionError> {
        for memory in section.into_iter_with_offsets() {
            let (offset, memory) = memory.map_err(|error| self.refuse(&error))?;
            if memory.initial > MEMORY_PAGES_MAX {
                return Err(AdmissionError::Memory { place: self.at(offset), pages: memory.initial });
            }
            self.count(Counted::Memories)?;
        }
        Ok(())
    }

    fn tables(&mut self, section: wasmparser::TableSectionReader<'_>) -> Result<(), AdmissionError> {
        for table in section.into_iter_with_offsets() {
            let (offset, table) = table.map_err(|error| self.refuse(&error))?;
            if table.ty.initial > TABLE_ELEMENTS_MAX as u64 {
                return Err(AdmissionError::Table { place: self.at(offset), elements: table.ty.initial });
            }
            self.count(Counted::Tables)?;
        }
        Ok(())
    }

    fn instances(&mut self, section: wasmparser::InstanceSectionReader<'_>) -> Result<(), AdmissionError> {
        for instance in section {
            if let Instance::Instantiate { .. } = instance.map_err(|error| self.refuse(&error))? {
                self.count(Counted::CoreInstances)?;
            }
        }
        Ok(())
    }

    fn canonicals(&mut self, section: wasmparser::ComponentCanonicalSectionReader<'_>) -> Result<(), AdmissionError> {
        for canonical in section.into_iter_with_offsets() {
            let (offset, canonical) = canonical.map_err(|error| self.refuse(&error))?;
            let (CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. }) = canonical else {
                return Err(self.unsupported("resources", offset));
            };
            if options.iter().any(|option| matches!(option, CanonicalOption::UTF16 | CanonicalOption::CompactUTF16)) {
                return Err(self.unsupported("strings in another encoding than UTF-8", offset));
            }
        }
        Ok(())
    }

    fn import_names(&mut self, section: wasmparser::ComponentImportSectionReader<'_>) -> Result<(), AdmissionError> {
        for import in section {
            let import = import.map_err(|error| self.refuse(&error))?;
            self.imports.push(import.name.name.to_owned());
        }
        Ok(())
    }

    fn count(&mut self, what: Counted) -> Result<(), AdmissionError> {
        let found = &mut self.counts[what as usize];
        *found += 1;
        if *found > what.max() { Err(AdmissionError::Count { what, found: *found }) } else { Ok(()) }
    }

    fn function(
        &mut self,
        function: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'_>,
    ) -> Result<(), AdmissionError> {
        self.place.function = Some(function.index);
        let mut validator = function.into_validator(std::mem::take(&mut self.allocations));
        self.signature(&validator, body.range().start)?;
        let mut reader = body.get_binary_reader();
        validator.read_locals(&mut reader).map_err(|error| self.refuse(&error))?;
        self.bound(FunctionBound::Locals, validator.len_locals(), LOCALS_MAX, body.range().start)?;
        reader.set_features(PROPOSALS_ON);
        while !reader.eof() {
            let offset = reader.original_position();
            let visited = reader.visit_operator(&mut validator.visitor(offset));
            visited.and_then(|valid| valid).map_err(|error| self.refuse(&error))?;
            self.bound(FunctionBound::Operands, validator.operand_stack_height(), OPERANDS_MAX, offset)?;
        }
        let end = reader.original_position();
        reader.finish_expression(&validator.visitor(end)).map_err(|error| self.refuse(&error))?;
        self.allocations = validator.into_allocations();
        self.place.function = None;
        Ok(())
    }

    fn signature(
        &self,
        validator: &wasmparser::FuncValidator<ValidatorResources>,
        offset: usize,
    ) -> Result<(), AdmissionError> {
        let resources = validator.resources();
        let id = resources.type_id_of_function(validator.index()).expect("the function is in the module");
        let ty = resources.sub_type_at_id(id).unwrap_func();
        self.bound(FunctionBound::Params, ty.params().len() as u32, PARAMS_MAX as u32, offset)?;
        self.bound(FunctionBound::Results, ty.results().len() as u32, RESULTS_MAX as u32, offset)
    }

    fn bound(&self, what: FunctionBound, found: u32, max: u32, offset: usize) -> Result<(), AdmissionError> {
        if found <= max { Ok(()) } else { Err(AdmissionError::Function { what, found, place: self.at(offset) }) }
    }

    fn unsupported(&self, what: &'static str, offset: usize) -> AdmissionError {
        AdmissionError::Unsupported { what, place: self.at(offset) }
    }

    fn at(&self, offset: usize) -> Place {
        Place { offset, ..self.place }
    }

    fn refuse(&self, error: &wasmparser::BinaryReaderError) -> AdmissionError {
        let (place, reason) = (self.at(error.offset()), error.message().to_owned());
        match proposals::needed(self.component, error) {
            Some(proposal) => AdmissionError::Proposal { proposal, place, reason },
            None => AdmissionError::Invalid { place, reason },
        }
    }
}
